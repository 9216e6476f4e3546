"""Borda counts."""

import numpy as np

from ism.fusion.lists.ranked import Doubles, RankedLists


def bordafuse(lists: RankedLists) -> Doubles:
    """``[n]`` points: ``n`` for a first place, one less for each place below; unlisted items share what is left.

    Aslam and Montague 2001, "Models for metasearch".
    """
    total = len(lists.items)
    left = (total - lists.sizes + 1) / 2.0  # to each item that a list does not have
    surplus = total + 1.0 - lists.rank - np.repeat(left, lists.sizes)
    return np.asarray(lists.summed(surplus) + left.sum())
