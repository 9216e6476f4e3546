"""Counts requests as they pass: how many, how many failed, how long they took, how many are open."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Upper ends of the latency buckets, seconds: a quantile is known to within 19 % of its value.
BUCKETS: tuple[float, ...] = tuple(0.0005 * 2 ** (step / 4) for step in range(69))
_UNCOUNTED = frozenset({"/metrics", "/healthz", "/readyz", "/api/stream"})  # machines that watch are no users
MATCH_PATH = "/api/matches"


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """Since the process started.

    Attributes:
        requests: answered ones.
        errors: those answered with a status of 500 or more, or not at all.
        seconds: their durations, summed up.
        buckets: how many took at most so long, one number for each of `BUCKETS` and one for longer ones.
    """

    requests: int
    errors: int
    seconds: float
    buckets: tuple[int, ...]

    def since(self, before: RequestTotals) -> RequestTotals:
        """What came after an earlier reading."""
        return RequestTotals(
            self.requests - before.requests,
            self.errors - before.errors,
            self.seconds - before.seconds,
            tuple(now - then for now, then in zip(self.buckets, before.buckets, strict=True)),
        )

    def quantile(self, share: float) -> float | None:
        """Duration that so large a share stays within, seconds: the upper end of its bucket; None without requests."""
        return histogram_quantile(self.buckets, share)


class RequestCounts:
    """Running totals of one kind of request; one thread at a time writes, any thread reads."""

    __slots__ = ("_buckets", "_errors", "_requests", "_seconds")

    def __init__(self) -> None:
        self._requests = self._errors = 0
        self._seconds = 0.0
        self._buckets = [0] * (len(BUCKETS) + 1)

    def add(self, seconds: float, failed: bool) -> None:
        """Count one request."""
        self._requests += 1
        self._errors += failed
        self._seconds += seconds
        self._buckets[bisect_left(BUCKETS, seconds)] += 1

    def totals(self) -> RequestTotals:
        """A copy of the totals."""
        return RequestTotals(self._requests, self._errors, self._seconds, tuple(self._buckets))


class EngineTimes:
    """How long each engine took to score an offer, since the process started; any thread may write and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, RequestCounts] = {}

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count one answer: engine -> seconds."""
        with self._lock:
            for name, taken in seconds.items():
                self._counts.setdefault(name, RequestCounts()).add(taken, failed=False)

    def totals(self) -> dict[str, RequestTotals]:
        """Engine -> a copy of its totals."""
        with self._lock:
            return {name: counts.totals() for name, counts in self._counts.items()}


class RequestLog:
    """All requests and those that ask for matches, since the process started; bounded whatever is asked for.

    Attributes:
        active: requests that are being answered.
    """

    def __init__(self) -> None:
        self.active = 0
        self.every, self.matches = RequestCounts(), RequestCounts()

    def middleware(self, app: App) -> App:
        """``app``, with its HTTP requests counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in _UNCOUNTED:
                await app(scope, receive, send)
                return
            status = 500

            async def noted(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            started = time.perf_counter()
            self.active += 1
            try:
                await app(scope, receive, noted)
            finally:
                self.active -= 1
                seconds, failed = time.perf_counter() - started, status >= 500
                self.every.add(seconds, failed)
                if scope["path"] == MATCH_PATH:
                    self.matches.add(seconds, failed)

        return counted


def histogram_quantile(buckets: Sequence[int], share: float) -> float | None:
    """Upper end of the bucket, seconds, that so large a share stays within; None where nothing was counted."""
    total = sum(buckets)
    if not total:
        return None
    wanted, seen = math.ceil(share * total), 0
    for end, count in zip(BUCKETS, buckets, strict=False):
        seen += count
        if seen >= wanted:
            return end
    return BUCKETS[-1]
