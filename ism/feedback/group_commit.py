"""Writers that wait together share one commit.

Each commit waits for the disk, so a thread takes all that has gathered since the last commit and writes it as one
(group commit: DeWitt et al. 1984, "Implementation techniques for main memory database systems"). A writer is answered
when the commit that holds its items is on disk, never before.

A commit costs time of the processor too, as much for one item as for twenty. So where several came together last time,
and only few wait now, the thread lets some more gather first, for a few milliseconds at most; a writer who is alone
never waits for company, nor does one who brings many items.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ism.domain.errors import StorageError

T = TypeVar("T")
R = TypeVar("R")

CLOSE_WAIT_S = 30.0
_GATHER_S = 0.0005  # for each item of the last commit
_MOST_GATHER_S = 0.005
_ENOUGH = 64  # items; beside these, what a commit itself costs is small


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    items: Sequence[T]
    size: int
    answer: asyncio.Future[list[R]]
    loop: asyncio.AbstractEventLoop


class GroupCommit(Generic[T, R]):
    """A thread that writes what any number of tasks hand in.

    Args:
        write: writes items in one transaction and returns a result for each, in order.
        most_bytes: how much may wait; more is refused.
        most_items: how many items one commit takes, unless one writer alone brings more.
    """

    def __init__(self, write: Callable[[list[T]], Sequence[R]], most_bytes: int, most_items: int) -> None:
        self._write, self._most_bytes, self._most_items = write, most_bytes, most_items
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self.commits = self.items = 0
        self._company = 0  # items of the last commit, where they were of several writers
        self._thread = threading.Thread(target=self._run, name="feedback-writer", daemon=True)
        self._thread.start()

    async def written(self, items: Sequence[T], size: int) -> list[R]:
        """The results of items, once they are on disk.

        Args:
            items: belong together, and are written in one commit.
            size: roughly how many bytes they hold.

        Raises:
            StorageError: too much is waiting, this is closed, or the commit failed; then it is not known whether the
                items were stored, and handing in the same again is safe.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(items, size, loop.create_future(), loop)
        with self._changed:
            if self._closed:
                raise StorageError("feedback: no more is taken in, since this process stops. Send it again later.")
            if self._bytes and self._bytes + size > self._most_bytes:
                raise StorageError(
                    f"feedback: {self._bytes:,} bytes wait to be written already. Send it again in a few seconds, "
                    "or raise feedback_queue_bytes."
                )
            self._waiting.append(waiting)
            self._bytes += size
            self._changed.notify()
        return await waiting.answer

    @property
    def runs(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    @property
    def waiting_bytes(self) -> int:
        """How much has been handed in and not answered."""
        return self._bytes

    def close(self) -> None:
        """Write what waits, then stop; calling it again does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_WAIT_S)

    def _run(self) -> None:
        while group := self._next_group():
            items = [item for waiting in group for item in waiting.items]
            self._company = len(items) if len(group) > 1 else 0
            results = self._attempt(items)
            with self._changed:  # first, so that whoever is answered finds the room
                self._bytes -= sum(waiting.size for waiting in group)
            if isinstance(results, Exception) and not isinstance(results, StorageError) and len(group) > 1:
                for waiting in group:  # one of them cannot be written; the others must not suffer from it
                    self._answer([waiting], self._attempt(list(waiting.items)))
            else:
                self._answer(group, results)

    def _next_group(self) -> list[_Waiting[T, R]]:
        """All that waits, up to a limit; nothing once this is closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            few = sum(len(waiting.items) for waiting in self._waiting) < _ENOUGH
        if self._company and few and not self._closed:
            time.sleep(min(_GATHER_S * self._company, _MOST_GATHER_S))
        with self._changed:
            group: list[_Waiting[T, R]] = []
            count = 0
            while self._waiting and (not group or count + len(self._waiting[0].items) <= self._most_items):
                group.append(self._waiting.popleft())
                count += len(group[-1].items)
            return group

    def _attempt(self, items: list[T]) -> Sequence[R] | Exception:
        try:
            results = self._write(items)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear it, and the thread goes on
            return error
        self.commits += 1
        self.items += len(items)
        return results

    def _answer(self, group: list[_Waiting[T, R]], results: Sequence[R] | Exception) -> None:
        """Wake those who wait: once for each event loop, however many of its tasks wait."""
        answers: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[list[R]], list[R] | Exception]]] = {}
        start = 0
        for waiting in group:
            end = start + len(waiting.items)
            answer = results if isinstance(results, Exception) else list(results[start:end])
            answers.setdefault(waiting.loop, []).append((waiting.answer, answer))
            start = end
        for loop, settled in answers.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:  # the loop was closed while its tasks waited: nobody is there to hear
                continue


def _settle(answers: Sequence[tuple[asyncio.Future[list[R]], list[R] | Exception]]) -> None:
    for future, answer in answers:
        if future.done():  # its task was cancelled
            continue
        if isinstance(answer, StorageError):
            future.set_exception(type(answer)(*answer.args))  # its own: each raise adds to an error's traceback
        elif isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
