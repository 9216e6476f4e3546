import asyncio
import threading
from collections.abc import Iterator

import pytest

from ism.domain.errors import StorageError
from ism.feedback.group_commit import GroupCommit


class Disk:
    """Writes when it is allowed to; a negative number cannot be written."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.free = threading.Event()
        self.free.set()
        self.failure: Exception | None = None

    def write(self, items: list[int]) -> list[str]:
        assert self.free.wait(30)
        self.groups.append(items)
        if self.failure is not None:
            raise self.failure
        if min(items) < 0:
            raise ValueError(f"{min(items)} cannot be written")
        return [f"wrote {item}" for item in items]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def commits(disk: Disk) -> Iterator[GroupCommit[int, str]]:
    made = GroupCommit(disk.write, most_bytes=100, most_items=4)
    yield made
    disk.free.set()
    made.close()


async def until_waiting(commits: GroupCommit[int, str], size: int) -> None:
    for _ in range(1000):
        if commits.waiting_bytes >= size:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{commits.waiting_bytes} bytes wait, not {size}")


def test_those_who_wait_share_a_commit(disk: Disk, commits: GroupCommit[int, str]) -> None:
    async def run() -> list[list[str]]:
        disk.free.clear()
        first = asyncio.create_task(commits.written([0], 1))
        await until_waiting(commits, 1)
        await asyncio.sleep(0.05)  # the writer took it
        others = [asyncio.create_task(commits.written(items, 1)) for items in ([1, 2], [3], [4, 5], [6])]
        await until_waiting(commits, 5)
        disk.free.set()
        return await asyncio.gather(first, *others)

    answers = asyncio.run(run())
    assert answers == [["wrote 0"], ["wrote 1", "wrote 2"], ["wrote 3"], ["wrote 4", "wrote 5"], ["wrote 6"]]
    assert disk.groups == [[0], [1, 2, 3], [4, 5, 6]]
    assert (commits.commits, commits.items, commits.waiting_bytes) == (3, 7, 0)


def test_one_writer_may_bring_more_than_a_group(disk: Disk, commits: GroupCommit[int, str]) -> None:
    assert len(asyncio.run(commits.written(list(range(50)), 5000))) == 50
    assert len(disk.groups) == 1


def test_too_much_waiting_is_refused_at_once(disk: Disk, commits: GroupCommit[int, str]) -> None:
    async def run() -> None:
        disk.free.clear()
        kept = asyncio.create_task(commits.written([1], 90))
        await until_waiting(commits, 90)
        with pytest.raises(StorageError, match=r"90 bytes wait.*again"):
            await commits.written([2], 20)
        disk.free.set()
        assert await kept == ["wrote 1"]
        assert await commits.written([3], 20) == ["wrote 3"]

    asyncio.run(run())


def test_what_cannot_be_written_fails_alone(disk: Disk, commits: GroupCommit[int, str]) -> None:
    async def run() -> list[object]:
        disk.free.clear()
        first = asyncio.create_task(commits.written([0], 1))
        await until_waiting(commits, 1)
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(commits.written([item], 1)) for item in (1, -2, 3)]
        await until_waiting(commits, 4)
        disk.free.set()
        return list(await asyncio.gather(first, *others, return_exceptions=True))

    one, two, three, four = asyncio.run(run())
    assert (one, two, four) == (["wrote 0"], ["wrote 1"], ["wrote 3"])
    assert isinstance(three, ValueError)


def test_while_the_store_is_away_all_are_told_and_none_is_tried_alone(
    disk: Disk, commits: GroupCommit[int, str]
) -> None:
    async def run() -> list[object]:
        return list(await asyncio.gather(*(commits.written([n], 1) for n in range(8)), return_exceptions=True))

    disk.failure = StorageError("away")
    failed = asyncio.run(run())
    assert all(isinstance(error, StorageError) for error in failed)
    assert len({id(error) for error in failed}) == 8
    tried = [item for group in disk.groups for item in group]
    assert sorted(tried) == list(range(8))
    disk.failure = None
    assert asyncio.run(commits.written([9], 1)) == ["wrote 9"]


def test_a_cancelled_task_disturbs_nobody(disk: Disk, commits: GroupCommit[int, str]) -> None:
    async def run() -> list[str]:
        disk.free.clear()
        gone, stays = (asyncio.create_task(commits.written([n], 1)) for n in (1, 2))
        await until_waiting(commits, 2)
        gone.cancel()
        disk.free.set()
        return await stays

    assert asyncio.run(run()) == ["wrote 2"]


def test_a_loop_that_ended_disturbs_nobody(disk: Disk, commits: GroupCommit[int, str]) -> None:
    async def leave() -> None:
        disk.free.clear()
        task = asyncio.create_task(commits.written([1], 1))
        await until_waiting(commits, 1)
        task.cancel()

    asyncio.run(leave())
    disk.free.set()
    assert asyncio.run(commits.written([2], 1)) == ["wrote 2"]


def test_closing_writes_what_waits_and_refuses_more(disk: Disk, commits: GroupCommit[int, str]) -> None:
    async def run() -> list[str]:
        disk.free.clear()
        task = asyncio.create_task(commits.written([1], 1))
        await until_waiting(commits, 1)
        closing = asyncio.create_task(asyncio.to_thread(commits.close))
        await asyncio.sleep(0.05)
        with pytest.raises(StorageError, match="stops"):
            await commits.written([2], 1)
        disk.free.set()
        await closing
        return await task

    assert asyncio.run(run()) == ["wrote 1"]
    commits.close()
