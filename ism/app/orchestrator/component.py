"""What the supervisor asks of a part of the system."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found.

    Attributes:
        state: ``ok``; ``degraded``: does its work with less; ``starting``: will do its work, and needs no help.
        detail: for people.
    """

    state: Literal["ok", "degraded", "starting"]
    detail: str


class Component(ABC):
    """A part that can be started, checked and stopped, any number of times.

    Promises:
        start: returns when the part has begun, not when it is ready; raises where it cannot begin.
        check: tries what the part is there for, changes nothing that anybody would miss, and raises where that fails.
        stop: may be called in any state, also after a start that failed; ends what runs, or parks it so that the next
            start carries it on.

    Attributes:
        name: as `get_system_status` tells it.
        needs: names of components that work before this one begins, and end after it. Those that are switched off do
            not count.
        switch: the field of `ProductionConfig` that switches it; None where it always runs.
        optional: whether matches are answered without it, though nothing switches it.
        uses: fields whose change makes it begin again.
        start_limit_s, check_limit_s, stop_limit_s: how long each may take, in seconds.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    switch: ClassVar[str | None] = None
    optional: ClassVar[bool] = False
    uses: ClassVar[tuple[str, ...]] = ()
    start_limit_s: ClassVar[float] = 30.0
    check_limit_s: ClassVar[float] = 30.0
    stop_limit_s: ClassVar[float] = 15.0

    @property
    def needed(self) -> bool:
        """Whether nothing is answered without it."""
        return self.switch is None and not self.optional

    @abstractmethod
    async def start(self) -> None:
        """Begin."""

    @abstractmethod
    async def check(self) -> Health:
        """Try whether it works."""

    @abstractmethod
    async def stop(self) -> None:
        """End."""


async def aside(function: Callable[[], T]) -> T:
    """The result of a function that runs in a thread of its own.

    Whoever waits may give up; the thread then goes on alone and keeps nobody from ending the process.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # None only where the function returned it

    def run() -> None:
        result, failure = None, None
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            failure = error
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await answer
