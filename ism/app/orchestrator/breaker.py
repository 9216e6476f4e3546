"""When something that failed may be tried again: exponential backoff, and a circuit breaker over it.

The breaker is that of M. Nygard, "Release It!", 2nd edition, 2018: closed while failures are few, open when they are
many, half open for one attempt after a rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Circuit = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How patiently something is started again.

    Attributes:
        first_s: wait after the first failure, in seconds.
        factor: by which the wait grows with each further failure.
        longest_s: longest wait while the circuit is closed, in seconds.
        failures: so many within ``window_s`` open the circuit.
        window_s: how long a failure counts, in seconds.
        open_s: rest of an open circuit, in seconds; grows by ``factor`` each time that it opens again.
        longest_open_s: longest rest, in seconds.
    """

    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 60.0
    failures: int = 5
    window_s: float = 900.0
    open_s: float = 120.0
    longest_open_s: float = 1800.0


class Breaker:
    """Counts the failures of one thing.

    Args:
        policy: how patient it is.
        clock: seconds that only grow.

    >>> breaker = Breaker(RestartPolicy(failures=3), lambda: 0.0)
    >>> [breaker.failed() for _ in range(3)], breaker.circuit
    ([1.0, 2.0, 120.0], 'open')
    """

    def __init__(self, policy: RestartPolicy, clock: Callable[[], float]) -> None:
        self._policy, self._clock = policy, clock
        self._failed: deque[float] = deque()
        self._opened = 0
        self._circuit: Circuit = "closed"

    @property
    def circuit(self) -> Circuit:
        """Whether attempts are made as they come (``closed``), one after a rest (``half_open``), or none (``open``)."""
        return self._circuit

    def failed(self) -> float:
        """Count a failure; seconds until the next attempt."""
        policy = self._policy
        self._forget()
        self._failed.append(self._clock())
        if self._circuit != "half_open" and len(self._failed) < policy.failures:
            return _grown(policy.first_s, policy.factor, len(self._failed) - 1, policy.longest_s)
        self._circuit = "open"
        self._opened += 1
        return _grown(policy.open_s, policy.factor, self._opened - 1, policy.longest_open_s)

    def attempt(self) -> None:
        """Note that it is tried again: an open circuit is half open until the outcome is known."""
        if self._circuit == "open":
            self._circuit = "half_open"

    def worked(self) -> None:
        """Note that it works; earlier failures count until they are old."""
        self._circuit = "closed"
        self._forget()
        if not self._failed:
            self._opened = 0

    def _forget(self) -> None:
        oldest = self._clock() - self._policy.window_s
        while self._failed and self._failed[0] < oldest:
            self._failed.popleft()


def _grown(first: float, factor: float, times: int, most: float) -> float:
    return min(first * factor ** min(times, 64), most)
