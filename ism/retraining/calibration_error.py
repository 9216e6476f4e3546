"""How far a probability is from what happens: expected calibration error over bins of equal size.

Bins of equal size instead of equal width, since most pairs of a marketplace have small probabilities and would all lie
in one bin (Nixon et al. 2019, "Measuring calibration in deep learning").
"""

from __future__ import annotations

import numpy as np

from ism.engines.metrics import Values


def calibration_error(probabilities: Values, happened: Values, bins: int = 15) -> float:
    """Mean distance between probability and frequency, weighted by the size of the bin; 0..1, NaN without pairs.

    Args:
        probabilities: ``[m]`` in 0..1.
        happened: ``[m]`` 1 or 0.
        bins: how many, each with the same number of pairs; equal probabilities may be split among two.
    """
    if not len(probabilities):
        return float("nan")
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(float(probabilities[part].mean() - happened[part].mean())) * len(part) for part in parts]
    return float(sum(gaps) / len(order))
