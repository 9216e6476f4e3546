"""Exact Shapley values over a few engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

import numpy as np

from ism.domain.errors import InvalidInputError
from ism.fusion.weighted_sum import Numbers

MOST_PLAYERS = 8  # 2**8 fused scores for each pair


def shapley(value: Callable[[tuple[str, ...]], Numbers], players: Sequence[str]) -> dict[str, Numbers]:
    """Each player's mean marginal contribution over all orders; they add up to ``value(players)``.

    The value of nobody is 0: a score that no engine speaks for does not exist, so the engines account for all of it.
    Every non-empty set is valued once (Shapley 1953, "A value for n-person games").

    Args:
        value: a non-empty set of players, in the order of ``players`` -> array of any one shape.
        players: 1 to `MOST_PLAYERS` names.

    Raises:
        InvalidInputError: there are too many players to enumerate.
    """
    count = len(players)
    if not 1 <= count <= MOST_PLAYERS:
        raise InvalidInputError("engines", count, f"Exact attributions need 1 to {MOST_PLAYERS} engines.")
    sets = [chosen for size in range(1, count + 1) for chosen in combinations(players, size)]
    worth = {chosen: value(chosen) for chosen in sets}
    out: dict[str, Numbers] = {}
    for player in players:
        share = np.zeros_like(worth[tuple(players)])
        for chosen in sets:
            if player in chosen:
                others = tuple(name for name in chosen if name != player)
                gained = worth[chosen] - worth[others] if others else worth[chosen]
                share += gained / (count * comb(count - 1, len(others)))
        out[player] = share
    return out
