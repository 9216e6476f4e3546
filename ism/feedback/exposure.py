"""Weights that make up for what was never looked at.

Whoever is shown at rank 1 is looked at more often than at rank 20, whatever it is worth. Under the position-based model
an outcome is seen only where the place was examined, so what was seen is weighted by the inverse of that probability
(Joachims, Swaminathan and Schnabel 2017, "Unbiased Learning-to-Rank with Biased Feedback"), times the inverse of the
logged probability that the policy showed it there. Probabilities are clipped from below: a little bias for a bounded
variance (Ionides 2008, "Truncated importance sampling").
"""

from __future__ import annotations

import numpy as np

from ism.feedback.ladder import Floats, Ints

_ROUNDS = 300
_PRIOR_VIEWS = 20.0  # how many views of a rank the power law is worth against what was counted


def power_law(rank: Ints, severity: float = 1.0) -> Floats:
    """Probability that a rank is examined, ``rank ** -severity`` (Joachims et al. 2017, section 6).

    Args:
        rank: ``[n]`` from 1 on.
        severity: 0 means that every rank is examined alike.
    """
    return np.asarray(rank, np.float64) ** -severity


def fit_examination(rank: Ints, opened: Floats, score: Floats, severity: float = 1.0, bins: int = 20) -> Floats:
    """How likely each rank is examined, learnt from the log by expectation maximisation.

    The model: opened = examined(rank) and attractive(score). As the same score appears at several ranks, the two can be
    told apart (regression EM, with bins of the fused score as the regression: Wang et al. 2018, "Position bias
    estimation for unbiased learning to rank in personal search"). Ranks that were seen seldom stay near the power law.

    Args:
        rank: ``[n]`` from 1 on.
        opened: ``[n]`` 1 where the recommendation was opened or got further, else 0.
        score: ``[n]`` fused score.
        severity: of the power law that the estimate starts from.
        bins: how many bins of equally many scores.

    Returns:
        ``[max(rank)]`` probability for rank 1, 2, ...; the first is 1, as only ratios can be known.
    """
    most = int(rank.max(initial=1))
    prior = power_law(np.arange(1, most + 1), severity)
    if not len(rank):
        return prior
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    cell = (rank - 1) * (len(edges) + 1) + np.searchsorted(edges, score, side="right")
    shape = (most, len(edges) + 1)
    shown = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    hits = np.bincount(cell, opened, shape[0] * shape[1]).reshape(shape)
    examined, attractive = prior.copy(), np.full(shape[1], max(float(opened.mean()), 1e-3))
    for _ in range(_ROUNDS):
        look, like = examined[:, None], attractive[None, :]
        missed = (shown - hits) / np.maximum(1.0 - look * like, 1e-12)
        examined = ((hits + missed * look * (1.0 - like)).sum(1) + _PRIOR_VIEWS * prior) / (shown.sum(1) + _PRIOR_VIEWS)
        attractive = (hits + missed * like * (1.0 - look)).sum(0) / np.maximum(shown.sum(0), 1)
    return np.asarray(np.clip(examined / examined[0], 0.0, 1.0), np.float64)


def exposure_weights(rank: Ints, propensity: Floats, examined: Floats, clip: float = 0.1) -> Floats:
    """Inverse propensity weights.

    Args:
        rank: ``[n]`` from 1 on.
        propensity: ``[n]`` logged probability that the policy put it there; 1 for a deterministic policy.
        examined: ``[k]`` probability that rank 1..k is examined; later ranks count as the last.
        clip: smaller products are raised to it, so that no weight exceeds ``1 / clip``.

    Returns:
        ``[n]`` weights, 1 to ``1 / clip``.
    """
    look = examined[np.minimum(rank, len(examined)) - 1]
    return np.asarray(1.0 / np.clip(propensity * look, clip, 1.0), np.float64)
