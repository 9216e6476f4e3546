"""Whether a result hangs on a few raters: drop those who carry it most, and look again.

In the spirit of Broderick, Giordano and Meager (2020), "An automatic finite-sample robustness metric": the influence of
a rater on a mean is the sum of what its cases are above it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ism.engines.metrics import Values


def without_most_influential(gaps: Values, raters: npt.ArrayLike, share: float) -> npt.NDArray[np.bool_]:
    """``[q]`` which cases stay when the raters that pull the mean up most are dropped.

    Args:
        gaps: ``[q]`` paired differences.
        raters: ``[q]`` who said what happened.
        share: of the raters to drop, in 0..1; at least one rater goes.
    """
    names, place = np.unique(np.asarray(raters), return_inverse=True)
    pull = np.bincount(place, gaps - gaps.mean(), minlength=len(names))
    count = max(1, math.ceil(share * len(names)))
    dropped = np.argsort(-pull, kind="stable")[:count]
    return np.asarray(~np.isin(place, dropped), dtype=bool)
