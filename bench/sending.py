"""Requests at moments that do not wait for answers, over connections that stay open: an open workload.

A sender that waits for each answer slows down with the server and hides how long people wait (B. Schroeder, A. Wierman
and M. Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006). So the moments are drawn beforehand, as a
Poisson process, and each wait counts from the moment at which the request was due.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

MOST_CONNECTIONS = 1000
_ANSWER_S = 60.0
_IDLE_S = 3.0  # a connection that rested longer is not used again: the server may be closing it
_END_S = 30.0  # after the last moment, for what is still under way


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        kind: for the report.
        raw: the whole HTTP/1.1 request.
        event_id: of an event of feedback.
    """

    kind: str
    raw: bytes
    event_id: str = ""


@dataclass
class Sent:
    """What came of a phase.

    Attributes:
        waits: seconds of each answer that did what was asked, by kind of request.
        codes: how often each status code came; 0 where the connection broke or no answer came in time.
        impatient: refusals (429, 503) without ``Retry-After``.
        acknowledged: identifiers of events that were stored.
        unsent: requests for which no connection was left.
        seconds: from the first moment to the last answer.
    """

    waits: dict[str, list[float]] = field(default_factory=dict)
    codes: Counter[int] = field(default_factory=Counter)
    impatient: int = 0
    acknowledged: set[str] = field(default_factory=set)
    unsent: int = 0
    seconds: float = 0.0


async def send(port: int, requests: Iterator[Request], rate: float, seconds: float, seed: int) -> Sent:
    """Send for so many seconds.

    Args:
        port: of the server, on loopback.
        requests: as many as are asked for.
        rate: mean requests a second.
        seconds: for how long.
        seed: of the moments.
    """
    luck, sent, free, open_now = random.Random(seed), Sent(), list[_Connection](), 0
    tasks: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    due = started
    while (due := due + luck.expovariate(rate)) < started + seconds:
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        if not free and open_now >= MOST_CONNECTIONS:
            sent.unsent += 1
            continue
        connection = free.pop() if free else _Connection(port)
        open_now = len(free) + len(tasks) + 1
        task = asyncio.create_task(_one(connection, next(requests), due, sent, free.append))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=_END_S)
    sent.seconds = time.perf_counter() - started
    for connection in free:
        connection.close()
    return sent


async def _one(
    connection: _Connection, request: Request, due: float, sent: Sent, give_back: Callable[[_Connection], None]
) -> None:
    try:
        code, patient = await asyncio.wait_for(connection.ask(request.raw), _ANSWER_S)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        connection.close()
        sent.codes[0] += 1
        return
    give_back(connection)
    sent.codes[code] += 1
    sent.impatient += code in {429, 503} and not patient
    if 200 <= code < 300:
        sent.waits.setdefault(request.kind, []).append(time.perf_counter() - due)
        if request.event_id:
            sent.acknowledged.add(request.event_id)


class _Connection:
    """One connection; opened with its first request, and again after the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._used = 0.0

    async def ask(self, raw: bytes) -> tuple[int, bool]:
        """Status code of the answer, and whether it says when to come again."""
        rested = time.perf_counter() - self._used > _IDLE_S
        if rested or self._writer is None or self._writer.is_closing() or self._reader is None or self._reader.at_eof():
            self.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(raw)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        start = head.index(b"content-length:") + len(b"content-length:")
        await self._reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
        self._used = time.perf_counter()
        return int(head[9:12]), b"retry-after:" in head

    def close(self) -> None:
        """Close it."""
        if self._writer is not None:
            with suppress(RuntimeError):
                self._writer.close()
