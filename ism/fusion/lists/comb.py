"""The Comb family: sums and order statistics of the scores of the lists that have an item.

Fox and Shaw 1994, "Combination of multiple searches". Scores of different lists should be normalised first
(`ism.fusion.lists.normalise`). An item that a list does not have counts 0 in the sums and is left out of the others.
"""

from collections.abc import Sequence

import numpy as np

from ism.domain.errors import InvalidInputError
from ism.fusion.lists.ranked import Doubles, RankedLists


def comb_sum(lists: RankedLists) -> Doubles:
    """``[n]`` sum."""
    return lists.summed(lists.score)


def weighted(lists: RankedLists, weights: Sequence[float] | Doubles) -> Doubles:
    """``[n]`` sum of the scores times the weight of their list.

    Raises:
        InvalidInputError: there is not one weight for each list.
    """
    if len(weights) != len(lists.sizes):
        raise InvalidInputError("weights", len(weights), f"Give {len(lists.sizes)} weights, one for each list.")
    return lists.summed(np.repeat(np.asarray(weights, np.float64), lists.sizes) * lists.score)


def comb_mnz(lists: RankedLists) -> Doubles:
    """``[n]`` sum, times how many lists have the item."""
    return lists.count * lists.summed(lists.score)


def comb_anz(lists: RankedLists) -> Doubles:
    """``[n]`` mean over the lists that have the item."""
    return lists.summed(lists.score) / lists.count


def comb_min(lists: RankedLists) -> Doubles:
    """``[n]`` smallest score."""
    order, starts = lists.by_item
    return np.minimum.reduceat(lists.score[order], starts)


def comb_max(lists: RankedLists) -> Doubles:
    """``[n]`` largest score."""
    order, starts = lists.by_item
    return np.maximum.reduceat(lists.score[order], starts)


def comb_med(lists: RankedLists) -> Doubles:
    """``[n]`` median of the scores."""
    order, starts = lists.by_item
    owner, size = lists.item[order], lists.count
    scores = np.full((len(size), size.max(initial=1)), np.inf)  # a row for each item; short rows sort many times faster
    scores[owner, np.arange(len(order)) - starts[owner]] = lists.score[order]
    scores.sort(axis=1)
    row = np.arange(len(size))
    return np.asarray(0.5 * (scores[row, (size - 1) // 2] + scores[row, size // 2]))
