"""The same fusions by `ranx`: are the scores the same, and how long does each take?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ism.data.public.trec7 import Topic
from ism.fusion import lists
from ism.fusion.lists import RankedLists
from ism.fusion.lists.comb import weighted

Values = npt.NDArray[np.float64]

_ROUNDS = 3  # the quickest of these is taken for each topic, for both libraries
TIMED = 10  # topics whose times are taken, evenly spaced; scores are compared on all
_SLOW_S = 1.0  # a topic; where ranx needs more, scores are compared on the timed topics only, and timed once
WEIGHTED = "wsum"


class Oracle:
    """`ranx` on the same runs.

    Args:
        topics: runs by topic.
        names: topics to compare.
    """

    def __init__(self, topics: Mapping[str, Topic], names: Sequence[str]) -> None:
        from ranx import Run  # noqa: PLC0415 - slow to load, and a peer: only this benchmark needs it

        self._make = Run
        self._names = list(names)
        self._dicts = {name: [{name: run} for run in _renamed(topics[name].runs)] for name in names}
        self._runs = {name: [Run(run) for run in given] for name, given in self._dicts.items()}
        self._as_theirs = {
            name: lists.ranked_lists([dict(run.run[name]) for run in given]) for name, given in self._runs.items()
        }  # equal scores in ranx's order, which is not that of the file
        self._timed = self._names[:: max(1, len(self._names) // TIMED)][:TIMED]
        self._made = {name: _quickest(partial(self._runs_of, self._dicts[name])) for name in self._timed}
        self._weights = [1.0 + 0.1 * number for number in range(len(topics[names[0]].runs))]

    def compare(self, ranked: Mapping[str, RankedLists]) -> dict[str, dict[str, float]]:
        """Largest difference and milliseconds a topic, by method."""
        ours: dict[str, Callable[[RankedLists], Values]] = {
            **lists.METHODS,
            WEIGHTED: lambda given: weighted(given, self._weights),
        }
        return {method: self._compared(method, kernel, ranked) for method, kernel in ours.items()}

    def compare_normalisations(self) -> dict[str, float]:
        """Largest difference of the sum of the normalised scores, by normalisation."""
        return {
            norm: self._difference(partial(_sum_of, scale), partial(self._fused, "sum", norm=norm))
            for norm, scale in lists.NORMALISATIONS.items()
        }

    def _difference(self, kernel: Callable[[RankedLists], Values], peer: Callable[[str], Any]) -> float:
        peer(self._names[0])  # compiles
        started = time.perf_counter()
        peer(self._names[0])
        names = self._names if time.perf_counter() - started < _SLOW_S else self._timed
        return max(
            _difference(self._as_theirs[name], kernel(self._as_theirs[name]), name, peer(name)) for name in names
        )

    def _compared(
        self, method: str, kernel: Callable[[RankedLists], Values], ranked: Mapping[str, RankedLists]
    ) -> dict[str, float]:
        difference = self._difference(kernel, partial(self._fused, method))  # also warms ranx up
        mine, theirs, mine_all, theirs_all = (np.zeros(len(self._timed)) for _ in range(4))
        for place, name in enumerate(self._timed):
            given = self._dicts[name]
            fresh = [next(iter(run.values())) for run in given]
            mine[place] = _quickest(partial(_ordered, ranked[name], kernel))
            theirs[place] = _quickest(partial(self._fused, method, name))
            mine_all[place] = _quickest(partial(_from_dicts, fresh, kernel))
            theirs_all[place] = self._made[name] + theirs[place]
        return {
            "difference": difference,
            "ours_ms": 1e3 * float(np.median(mine)),
            "ranx_ms": 1e3 * float(np.median(theirs)),
            "ratio": float(np.median(theirs / mine)),
            "ratio_from_dicts": float(np.median(theirs_all / mine_all)),
        }

    def _runs_of(self, given: Sequence[Any]) -> list[Any]:
        return [self._make(run) for run in given]

    def _fused(self, method: str, name: str, norm: str | None = None) -> Any:
        from ranx import fuse  # noqa: PLC0415 - as above

        params = {"weights": self._weights} if method == WEIGHTED else {}
        return fuse(self._runs[name], norm=norm, method=method, params=params)


def _sum_of(scale: lists.Normalisation, given: RankedLists) -> Values:
    return lists.METHODS["sum"](scale(given))


def _renamed(runs: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """The same runs with names of one length: ranx 0.3.21 cuts names that are longer than those of the first run."""
    names = {item: f"d{place:06}" for place, item in enumerate(dict.fromkeys(item for run in runs for item in run))}
    return [{names[item]: score for item, score in run.items()} for run in runs]


def _ordered(given: RankedLists, kernel: Callable[[RankedLists], Values]) -> npt.NDArray[np.intp]:
    return lists.ranking(given, kernel(given))


def _from_dicts(given: Sequence[Mapping[str, float]], kernel: Callable[[RankedLists], Values]) -> npt.NDArray[np.intp]:
    return _ordered(lists.ranked_lists(given), kernel)


def _difference(given: RankedLists, fused: Values, name: str, theirs: Any) -> float:
    """Largest distance of a score to that of `ranx`; infinite where it has other items."""
    found = theirs.run[name]
    if len(found) != len(given.items):
        return float("inf")
    return float(np.abs(fused - np.asarray([found[item] for item in given.items])).max())


def _quickest(action: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
        if taken[-1] > _SLOW_S:
            break
    return min(taken)
