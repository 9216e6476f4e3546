"""Nobody's voice counts for more than a stated share of all."""

from __future__ import annotations

import numpy as np

from ism.feedback.ladder import Floats, Ints

_ROUNDS = 50
_CLOSE = 1e-9


def capped(weight: Floats, group: Ints, share: float) -> Floats:
    """Weights scaled down so that no group holds more than a share of what is left.

    A share that cannot hold, as there are few groups, is raised to twice the equal share: two companies cannot both be
    below a tenth.

    Args:
        weight: ``[n]`` not negative.
        group: ``[n]`` number of the group, from 0 on.
        share: 0..1.

    Returns:
        ``[n]`` weights, each at most what it was; members of a group keep their proportions.

    Example:
        >>> import numpy as np
        >>> capped(np.array([8.0, 1, 1, 1, 1]), np.arange(5), 0.5).round(3).tolist()
        [4.0, 1.0, 1.0, 1.0, 1.0]
    """
    if not len(weight):
        return weight
    total = np.bincount(group, weight)
    held = total[total > 0]
    if not len(held):
        return weight
    most = _ceiling(np.sort(held), max(share, 2.0 / len(held)))
    factor = np.where(total > most, most / np.where(total > most, total, 1.0), 1.0)
    return np.asarray(weight * factor[group], np.float64)


def _ceiling(ascending: Floats, share: float) -> float:
    """The largest ``c`` with ``c <= share * sum(min(total, c))``; infinity where nobody is above."""
    if ascending[-1] <= share * ascending.sum():
        return float("inf")
    below = np.concatenate([[0.0], np.cumsum(ascending)[:-1]])
    room = 1.0 - share * (len(ascending) - np.arange(len(ascending)))  # the i-th and all above it are cut
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(room > 0, share * below / room, np.nan)
    # The difference of the two sides is concave and starts upwards, so there is one such place.
    fits = (level <= ascending * (1 + _CLOSE)) & (level >= np.concatenate([[0.0], ascending[:-1]]) * (1 - _CLOSE))
    return float(level[fits].min())


def capped_influence(weight: Floats, actor: Ints, company: Ints, actor_share: float, company_share: float) -> Floats:
    """Weights in which neither an actor nor a company exceeds its share; see `capped`.

    Capping one can put another above its share again, so both are repeated until nothing changes. Shares that cannot
    hold together (a company whose many actors are the only ones) are raised by a quarter until they can.
    """
    while True:
        settled = _settled(weight, actor, company, actor_share, company_share)
        if settled is not None:
            return settled
        actor_share, company_share = 1.25 * actor_share, 1.25 * company_share


def _settled(weight: Floats, actor: Ints, company: Ints, actor_share: float, company_share: float) -> Floats | None:
    least = 1e-3 * float(weight.sum())
    for _ in range(_ROUNDS):
        before = weight
        weight = capped(capped(weight, actor, actor_share), company, company_share)
        if np.allclose(weight, before, rtol=1e-6, atol=0.0):
            return weight
        if weight.sum() < least:
            return None
    return None
