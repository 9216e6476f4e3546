"""Limits on how often somebody may try: token buckets, as in "Policing" of RFC 2697 without its colours."""

from __future__ import annotations

import ipaddress
import threading
import time

from ism.domain.errors import IsmError

_MOST_PLACES = 10_000


class LockedOutError(IsmError):
    """Too many tries; ``wait_s`` says when the next one is looked at.

    Args:
        message: what was tried too often.
        wait_s: seconds.
    """

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Buckets:
    """A bucket of tokens for each place, refilled at a steady rate; threads may share it.

    The least recently used of more than 10,000 places is forgotten, so that memory stays bounded.

    Args:
        burst: tokens that a full bucket holds.
        per_s: tokens that come back a second.
    """

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # place -> tokens, and when that was

    def wait_s(self, place: str) -> float:
        """Seconds until a place has a token; 0 when it has one."""
        with self._lock:
            return self._missing(self._tokens(place, time.monotonic()))

    def take(self, place: str) -> float:
        """Take a token; returns 0, or takes none and returns the seconds until there is one."""
        now = time.monotonic()
        with self._lock:
            tokens = self._tokens(place, now)
            missing = self._missing(tokens)
            if not missing:
                self._put(place, tokens - 1, now)
            return missing

    def _tokens(self, place: str, now: float) -> float:
        tokens, then = self._left.get(place, (self._burst, now))
        return min(self._burst, tokens + (now - then) * self._per_s)

    def _missing(self, tokens: float) -> float:
        return 0.0 if tokens >= 1 else (1 - tokens) / self._per_s

    def _put(self, place: str, tokens: float, now: float) -> None:
        self._left.pop(place, None)
        while len(self._left) >= _MOST_PLACES:
            self._left.pop(next(iter(self._left)))
        self._left[place] = (tokens, now)


def place_of(client: tuple[str, int] | None) -> str:
    """Where a request came from, as limits count: an IPv4 address, or the /64 network of an IPv6 one."""
    if client is None:
        return "unknown"
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if address.version == 6:
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
