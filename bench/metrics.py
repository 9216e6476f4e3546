"""Ranks, means over them, and how sure the means are.

A question counts with its best-ranked true receiver (`ism.engines.metrics.best_rank`). Candidates that are right too,
or that the protocol takes out (past partners), do not compete.

Intervals are percentiles of a bootstrap that draws whole groups (source papers, senders, generators), because the
cases of one group are not independent. Differences are paired: both methods are averaged over the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ism.engines.metrics import Values

DRAWS = 2000
METRICS = ("recall@1", "recall@5", "recall@10", "mrr")
_CONFIDENCE = (2.5, 97.5)


def gains(ranks: Values) -> dict[str, Values]:
    """What each question adds to each of `METRICS`: 1 for a hit, or one over the rank; 0 for an infinite rank."""
    hits = {f"recall@{depth}": (ranks <= depth).astype(np.float64) for depth in (1, 5, 10)}
    return {**hits, "mrr": 1.0 / ranks}


class GroupBootstrap:
    """Means over draws of whole groups.

    Args:
        groups: ``[q]`` label of each question's group.
        draws: how many times as many groups as there are get drawn, with replacement.
        seed: of the draws; the same seed and groups give the same draws, so that methods can be compared.
    """

    def __init__(self, groups: npt.ArrayLike, draws: int = DRAWS, seed: int = 0) -> None:
        names, self._place = np.unique(np.asarray(groups), return_inverse=True)
        self.groups = len(names)
        drawn = np.random.default_rng(seed).multinomial(
            self.groups, np.full(self.groups, 1.0 / max(self.groups, 1)), draws
        )
        self._drawn = drawn.astype(np.float64)
        self._sizes = self._drawn @ np.bincount(self._place, minlength=self.groups)

    def means(self, values: Values) -> Values:
        """``[draws]`` mean of the values of the questions in each draw."""
        return self._drawn @ np.bincount(self._place, values, minlength=self.groups) / self._sizes

    def interval(self, values: Values) -> tuple[float, float]:
        """Bounds that hold 95 % of the drawn means."""
        low, high = np.percentile(self.means(values), _CONFIDENCE)
        return float(low), float(high)


def summary(ranks: Values, bootstrap: GroupBootstrap) -> dict[str, Any]:
    """Each of `METRICS` and, under ``intervals``, its bounds."""
    gained = gains(ranks)
    means = {name: float(values.mean()) for name, values in gained.items()}
    return {**means, "intervals": {name: list(bootstrap.interval(values)) for name, values in gained.items()}}


def difference(ours: Values, theirs: Values, metric: str, bootstrap: GroupBootstrap) -> dict[str, float]:
    """How far one method's metric is above another's on the same questions: ``mean`` as observed, ``low``, ``high``."""
    gap = gains(ours)[metric] - gains(theirs)[metric]
    low, high = bootstrap.interval(gap)
    return {"mean": float(gap.mean()), "low": low, "high": high}


def compared(
    ours: Values, baselines: Mapping[str, Values], metrics: Sequence[str], bootstrap: GroupBootstrap
) -> dict[str, dict[str, Any]]:
    """For each metric the difference to the baseline that is best *at that metric*, with its name."""
    out: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        best = max(baselines, key=lambda name: float(gains(baselines[name])[metric].mean()))
        out[metric] = {"baseline": best, **difference(ours, baselines[best], metric, bootstrap)}
    return out
