"""How far a recommendation got: a ladder of outcomes that only grows.

The state of a recommendation is the earliest time at which each stage was reached. Joining two states takes the earlier
time of each stage, which is commutative, associative and idempotent (a join semilattice: Shapiro et al. 2011,
"Conflict-free Replicated Data Types"), so late, repeated and shuffled events all lead to the same state. The furthest
stage is the highest one reached. ``rejected`` ends a negotiation whatever was said before; only the facts ``failed``
and ``delivered`` stand above it, and what was delivered once stays delivered.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

Outcome = Literal["shown", "opened", "contacted", "negotiating", "accepted", "rejected", "failed", "delivered"]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

LADDER: Final[tuple[Outcome, ...]] = get_args(Outcome)
RUNG: Final[dict[str, int]] = {name: rung for rung, name in enumerate(LADDER)}
TERMINAL: Final[frozenset[str]] = frozenset({"rejected", "failed", "delivered"})


def join_events(subject: Ints, rung: Ints, time: Floats, count: int) -> Floats:
    """The states that a set of events amounts to.

    Args:
        subject: ``[n]`` number of the recommendation, 0..count-1.
        rung: ``[n]`` place of the outcome in `LADDER`.
        time: ``[n]`` when it happened, seconds since 1970.
        count: how many recommendations there are.

    Returns:
        ``[count, 8]`` earliest time of each stage; infinity where it was not reached.
    """
    times = np.full((count, len(LADDER)), np.inf)
    np.minimum.at(times, (subject, rung), time)
    return times


def join(left: Floats, right: Floats) -> Floats:
    """The states that follow from both; ``[n, 8]`` each."""
    return np.minimum(left, right)


def furthest(times: Floats) -> Ints:
    """``[n]`` place in `LADDER` of the highest stage reached; -1 where there is none."""
    reached = np.isfinite(times)
    top = len(LADDER) - 1 - np.argmax(reached[:, ::-1], axis=1)
    return np.where(reached.any(axis=1), top, -1).astype(np.intp)
