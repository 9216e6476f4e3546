"""Fusion of ranked lists: what is known of each engine is only what it listed, in which order, with which score.

Kernels take a `RankedLists` and give one fused score for each item that anybody listed. `METHODS` and `NORMALISATIONS`
name them.
"""

from __future__ import annotations

from collections.abc import Callable

from ism.fusion.lists import borda, comb, isr, normalise, rrf
from ism.fusion.lists.ranked import Doubles, RankedLists, ranked_lists, ranking

Kernel = Callable[[RankedLists], Doubles]
Normalisation = Callable[[RankedLists], RankedLists]

METHODS: dict[str, Kernel] = {
    "rrf": rrf.rrf,
    "isr": isr.isr,
    "log_isr": isr.log_isr,
    "bordafuse": borda.bordafuse,
    "sum": comb.comb_sum,
    "mnz": comb.comb_mnz,
    "min": comb.comb_min,
    "max": comb.comb_max,
    "med": comb.comb_med,
    "anz": comb.comb_anz,
}
NORMALISATIONS: dict[str, Normalisation] = {
    "min-max": normalise.min_max,
    "max": normalise.maximum,
    "sum": normalise.total,
    "zmuv": normalise.zmuv,
    "rank": normalise.rank,
    "borda": normalise.borda,
}

__all__ = ["METHODS", "NORMALISATIONS", "Doubles", "Kernel", "Normalisation", "RankedLists", "ranked_lists", "ranking"]
