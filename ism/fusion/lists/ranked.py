"""Several ranked lists of one question as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ism.domain.errors import InvalidInputError

Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class RankedLists:
    """Entries of ``k`` lists, list after list, best first.

    Attributes:
        items: identifiers of the ``n`` items that anybody listed.
        item: ``[e]`` place of each entry's item in ``items``.
        score: ``[e]`` its score.
        sizes: ``[k]`` entries of each list.
    """

    items: list[str]
    item: Places
    score: Doubles
    sizes: Places

    @cached_property
    def rank(self) -> Places:
        """``[e]`` rank of each entry in its list, from 1."""
        return np.arange(1, len(self.item) + 1) - np.repeat(self.starts, self.sizes)

    @cached_property
    def starts(self) -> Places:
        """``[k]`` first entry of each list."""
        return np.asarray(np.cumsum(self.sizes) - self.sizes, dtype=np.intp)

    @cached_property
    def count(self) -> Places:
        """``[n]`` how many lists have the item."""
        return np.bincount(self.item, minlength=len(self.items))

    @cached_property
    def by_item(self) -> tuple[Places, Places]:
        """Entries in order of their items, and ``[n]`` where each item's begin."""
        return np.argsort(self.item, kind="stable"), np.asarray(np.cumsum(self.count) - self.count, dtype=np.intp)

    def summed(self, values: npt.NDArray[np.floating[Any]]) -> Doubles:
        """``[n]`` sum of ``[e]`` values over the lists that have the item."""
        return np.asarray(np.bincount(self.item, values, minlength=len(self.items)), dtype=np.float64)


def ranked_lists(lists: Sequence[Mapping[str, float]]) -> RankedLists:
    """Columns of lists given as item -> score, each best first.

    Raises:
        InvalidInputError: there is no list, a score is not finite, or a list is not in order.
    """
    if not lists:
        raise InvalidInputError("lists", [], "Give at least one ranked list.")
    place: dict[str, int] = {}
    for item in chain.from_iterable(lists):
        place.setdefault(item, len(place))
    numbers = np.fromiter((place[item] for item in chain.from_iterable(lists)), np.intp)
    score = np.fromiter(chain.from_iterable(given.values() for given in lists), np.float64)
    found = RankedLists(list(place), numbers, score, np.asarray([len(given) for given in lists], dtype=np.intp))
    if not np.isfinite(score).all():
        raise InvalidInputError("score", float(score[~np.isfinite(score)][0]), "Give finite scores.")
    rising = np.flatnonzero((np.diff(score) > 0) & (found.rank[1:] > 1))
    if len(rising):
        raise InvalidInputError("score", float(score[rising[0] + 1]), "Give each list with its best item first.")
    return found


def ranking(lists: RankedLists, fused: Doubles) -> Places:
    """Places of the items, best first; the first listed first among equals."""
    return np.argsort(-fused, kind="stable")
