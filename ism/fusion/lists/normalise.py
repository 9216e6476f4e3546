"""Scores of each list on a common scale."""

from dataclasses import replace

import numpy as np

from ism.fusion.lists.ranked import Doubles, Places, RankedLists

_LEAST = 1e-9  # of a divisor, for lists whose scores are all the same


def min_max(lists: RankedLists) -> RankedLists:
    """From 0 for a list's last to 1 for its first."""
    low = _each(lists, np.minimum)
    return _scaled(lists, low, _each(lists, np.maximum) - low)


def maximum(lists: RankedLists) -> RankedLists:
    """Parts of the list's highest score."""
    return _scaled(lists, np.zeros(len(lists.sizes)), _each(lists, np.maximum))


def total(lists: RankedLists) -> RankedLists:
    """Above the list's lowest score, as parts of their sum."""
    low = _each(lists, np.minimum)
    return _scaled(lists, low, _each(lists, np.add) - low * lists.sizes)


def zmuv(lists: RankedLists) -> RankedLists:
    """Zero mean, unit variance."""
    size = np.maximum(lists.sizes, 1)
    mean = _each(lists, np.add) / size
    apart = np.square(lists.score - np.repeat(mean, lists.sizes))
    return _scaled(lists, mean, np.sqrt(_each(replace(lists, score=apart), np.add) / size))


def rank(lists: RankedLists) -> RankedLists:
    """1 for the first, falling evenly to 1 / size for the last."""
    return replace(lists, score=1.0 - (lists.rank - 1) / np.repeat(lists.sizes, lists.sizes))


def borda(lists: RankedLists) -> RankedLists:
    """Borda points as parts of the number of items; afterwards every list has every item."""
    total_items = len(lists.items)
    filled = [
        _completed(lists.item[start : start + size], total_items)
        for start, size in zip(lists.starts, lists.sizes, strict=True)
    ]
    size = np.repeat(lists.sizes, total_items)
    place = np.tile(np.arange(total_items), len(lists.sizes))
    listed = 1.0 - place / total_items
    score = np.where(place < size, listed, 0.5 - (size - 1) / (2.0 * total_items))
    sizes = np.full(len(lists.sizes), total_items, dtype=np.intp)
    return RankedLists(lists.items, np.concatenate(filled), score, sizes)


def _completed(listed: Places, total_items: int) -> Places:
    """A list's items, followed by those that it does not have."""
    absent = np.ones(total_items, dtype=bool)
    absent[listed] = False
    return np.concatenate([listed, np.flatnonzero(absent)])


def _each(lists: RankedLists, reduce: np.ufunc) -> Doubles:
    """``[k]`` of each list's scores; 0 for an empty one."""
    out, filled = np.zeros(len(lists.sizes)), lists.sizes > 0
    if filled.any():
        out[filled] = reduce.reduceat(lists.score, lists.starts[filled])
    return out


def _scaled(lists: RankedLists, shift: Doubles, width: Doubles) -> RankedLists:
    divisor = np.repeat(np.maximum(width, _LEAST), lists.sizes)
    return replace(lists, score=(lists.score - np.repeat(shift, lists.sizes)) / divisor)
