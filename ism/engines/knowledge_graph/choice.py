"""Conditional logit with non-negative weights: how much each type of path counts.

McFadden (1974), "Conditional logit analysis of qualitative choice behavior": the receiver that took an offer was chosen among those that
could have, with probability proportional to ``exp(w . x)``. Weights are non-negative, since a path can only speak for a pair, and are drawn
towards prior weights, so that a small market starts from what is known in general.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from ism.data.market import Floats
from ism.engines.training import RankingProblem

ITERATIONS = 80


def fit_weights(problem: RankingProblem, columns: Floats, prior: Floats, l2: float) -> Floats:
    """Weights ``[f]``, each >= 0, that minimise the negative log-likelihood plus ``l2 / 2 * |w - prior|^2``.

    Args:
        problem: sizes and relevance of the pairs; of several takers each counts its share.
        columns: ``[pairs, f]`` values of the pairs.
        prior: ``[f]`` weights to stay close to.
        l2: how close, in units of log-likelihood.
    """
    starts = np.concatenate([[0], np.cumsum(problem.sizes)[:-1]])
    owner = np.repeat(np.arange(len(problem.sizes)), problem.sizes)
    share = problem.relevant / np.add.reduceat(problem.relevant.astype(np.float64), starts)[owner]

    def loss(weights: Floats) -> tuple[float, Floats]:
        utility = columns @ weights.astype(np.float32)
        top = np.maximum.reduceat(utility, starts)
        odds = np.exp(utility - top[owner])
        total = np.add.reduceat(odds, starts)
        fit = float(share @ utility - (np.log(total) + top).sum())
        slope = columns.T @ (share - odds / total[owner]).astype(np.float32)
        gap = weights - prior
        return l2 / 2 * float(gap @ gap) - fit, np.asarray(l2 * gap - slope, dtype=np.float64)

    bounds = [(0.0, None)] * len(prior)
    found = minimize(
        loss, prior.astype(np.float64), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS}
    )
    return np.asarray(found.x, dtype=np.float32)


def log_share(utility: Floats) -> Floats:
    """Log of the choice probabilities along the last axis."""
    return np.asarray(utility - logsumexp(utility, axis=-1, keepdims=True), dtype=np.float32)
