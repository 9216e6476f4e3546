"""Ranks, means over them, and how sure the means are.

A question counts with its best-ranked true receiver (`ism.engines.metrics.best_rank`). Candidates that are right too,
or that the protocol takes out (past partners), do not compete.

Intervals are those of `ism.retraining.bootstrap`: whole groups (source papers, senders, generators) are drawn, and
differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ism.engines.metrics import Values
from ism.retraining.bootstrap import GroupBootstrap

METRICS = ("recall@1", "recall@5", "recall@10", "mrr")


def gains(ranks: Values) -> dict[str, Values]:
    """What each question adds to each of `METRICS`: 1 for a hit, or one over the rank; 0 for an infinite rank."""
    hits = {f"recall@{depth}": (ranks <= depth).astype(np.float64) for depth in (1, 5, 10)}
    return {**hits, "mrr": 1.0 / ranks}


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
