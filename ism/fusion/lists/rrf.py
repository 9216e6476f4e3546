"""Reciprocal rank fusion."""

from ism.fusion.lists.ranked import Doubles, RankedLists

CONSTANT = 60.0


def rrf(lists: RankedLists, constant: float = CONSTANT) -> Doubles:
    """``[n]`` sum of ``1 / (constant + rank)`` over the lists that have the item.

    Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods".
    """
    return lists.summed(1.0 / (constant + lists.rank))
