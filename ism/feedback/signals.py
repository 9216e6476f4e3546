"""The numbers that triggers look at, with one actor's share in them limited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

from ism.feedback.claims import NEGATIVE_TO

# These stand for many: whoever sent no name, and what systems saw.
UNLIMITED: Final = frozenset({"anonymous", "system", "external"})


def limited_volume(counts: Mapping[str, int], threshold: int, share: float) -> int:
    """How many events there are when no known actor counts for more than a share of the threshold."""
    most = max(1, ceil(share * threshold))
    return sum(count if actor in UNLIMITED else min(count, most) for actor, count in counts.items())


def latest_ratings(ratings: Sequence[tuple[str, float]], count: int, share: float) -> list[float]:
    """The latest ratings, of each known actor at most a share of them.

    Args:
        ratings: actor and rating, the latest first.
        count: how many to take.
        share: 0..1.
    """
    most, seen, taken = max(1, ceil(share * count)), Counter[str](), list[float]()
    for actor, rating in ratings:
        if actor not in UNLIMITED and seen[actor] >= most:
            continue
        seen[actor] += 1
        taken.append(rating)
        if len(taken) == count:
            break
    return taken


def negative_share(ratings: Sequence[float]) -> float:
    """Share of ratings of 1 or 2."""
    return sum(rating <= NEGATIVE_TO for rating in ratings) / len(ratings)


def unit_mean(ratings: Sequence[float]) -> float:
    """Mean rating on a scale of 0 (all 1) to 1 (all 5)."""
    return (sum(ratings) / len(ratings) - 1.0) / 4.0
