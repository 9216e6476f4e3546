"""Who listens is told what changed, and nothing is looked at while nobody does."""

import asyncio

from ism.app.web.pulse import Pulse
from ism.domain.errors import StorageError


def test_changes_are_told_once_to_everybody_who_listens() -> None:
    looks = iter([{"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 5}])
    last = {"a": 2, "b": 5}

    async def hear() -> list[frozenset[str] | None]:
        pulse = Pulse(lambda: next(looks, last), every_s=0.01)
        async with pulse.listening() as one, pulse.listening() as other:
            heard = [await asyncio.wait_for(one.get(), 5), await asyncio.wait_for(one.get(), 5)]
            assert [await other.get(), await other.get()] == heard
            await pulse.close()
            return [*heard, await one.get()]

    assert asyncio.run(hear()) == [{"a"}, {"b"}, None]


def test_nothing_is_looked_at_while_nobody_listens() -> None:
    looked = []

    def look() -> dict[str, object]:
        looked.append(1)
        return {}

    async def watch() -> int:
        pulse = Pulse(look, every_s=0.01)
        async with pulse.listening():
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        before = len(looked)
        await asyncio.sleep(0.1)
        return len(looked) - before

    assert asyncio.run(watch()) == 0
    assert looked


def test_a_store_that_is_away_ends_nothing() -> None:
    answers = iter([{"a": 1}, StorageError("away"), {"a": 2}])

    def look() -> dict[str, object]:
        answer = next(answers, {"a": 2})
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def hear() -> frozenset[str] | None:
        async with Pulse(look, every_s=0.01).listening() as heard:
            return await asyncio.wait_for(heard.get(), 5)

    assert asyncio.run(hear()) == {"a"}


def test_a_listener_that_never_reads_costs_little() -> None:
    count = iter(range(10_000))

    async def flood() -> int:
        async with Pulse(lambda: {"a": next(count)}, every_s=0).listening() as heard:
            while next(count) < 1_000:
                await asyncio.sleep(0.001)
            return heard.qsize()

    assert asyncio.run(flood()) <= 100
