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
        self._dicts = {name: [{name: run} for run in topics[name].runs] for name in names}
        self._runs = {name: [Run(run) for run in given] for name, given in self._dicts.items()}
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

    def compare_normalisations(self, ranked: Mapping[str, RankedLists]) -> dict[str, float]:
        """Largest difference of the sum of the normalised scores, by normalisation."""
        return {
            norm: max(
                _difference(
                    ranked[name], lists.METHODS["sum"](scale(ranked[name])), name, self._fused("sum", name, norm=norm)
                )
                for name in self._names
            )
            for norm, scale in lists.NORMALISATIONS.items()
        }

    def _compared(
        self, method: str, kernel: Callable[[RankedLists], Values], ranked: Mapping[str, RankedLists]
    ) -> dict[str, float]:
        difference = max(
            _difference(ranked[name], kernel(ranked[name]), name, self._fused(method, name)) for name in self._names
        )  # also warms ranx up
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
    return min(taken)
