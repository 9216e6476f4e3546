"""Conditional logit with non-negative weights: how much each type of path counts.

McFadden (1974), "Conditional logit analysis of qualitative choice behavior": the receiver that took an offer was chosen
among those that could have, with probability proportional to ``exp(w . x)``. Weights are non-negative, since a path can
only speak for a pair, and are drawn towards prior weights, so that a small market starts from what is known in general.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from ism.data.market import Floats, Rows
from ism.engines.training import RankingProblem

ITERATIONS = 80


@dataclass(frozen=True)
class Choices:
    """What was chosen among what.

    Attributes:
        columns: ``[pairs, f]`` values of the pairs, choice after choice.
        starts: where each choice begins.
        owner: ``[pairs]`` number of the choice.
        share: ``[pairs]`` of several takers each counts its share; adds up to 1 in each choice.
    """

    columns: Floats
    starts: Rows
    owner: Rows
    share: npt.NDArray[np.float64]

    @classmethod
    def of(cls, problem: RankingProblem, columns: Floats) -> Choices:
        """The choices of a ranking problem whose pairs have these columns."""
        starts = np.concatenate([[0], np.cumsum(problem.sizes)[:-1]]).astype(np.intp)
        owner = np.repeat(np.arange(len(problem.sizes), dtype=np.intp), problem.sizes)
        relevant = problem.relevant.astype(np.float64)
        return cls(columns, starts, owner, relevant / np.add.reduceat(relevant, starts)[owner])

    def log_likelihood(self, weights: Floats) -> tuple[float, Floats]:
        """Value and slope ``[f]``, in the precision of the columns."""
        utility = self.columns @ weights.astype(self.columns.dtype)
        top = np.maximum.reduceat(utility, self.starts)
        odds = np.exp(utility - top[self.owner])
        total = np.add.reduceat(odds, self.starts)
        value = float(self.share @ utility - (np.log(total) + top).sum())
        return value, self.columns.T @ (self.share - odds / total[self.owner]).astype(self.columns.dtype)


def fit_weights(problem: RankingProblem, columns: Floats, prior: Floats, l2: float) -> Floats:
    """Weights ``[f]``, each >= 0, that minimise the negative log-likelihood plus ``l2 / 2 * |w - prior|^2``.

    Args:
        problem: sizes and relevance of the pairs.
        columns: ``[pairs, f]`` values of the pairs.
        prior: ``[f]`` weights to stay close to.
        l2: how close, in units of log-likelihood.
    """
    choices = Choices.of(problem, columns)

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = choices.log_likelihood(weights)
        gap = weights - prior
        return l2 / 2 * float(gap @ gap) - value, np.asarray(l2 * gap - slope, dtype=np.float64)

    bounds = [(0.0, None)] * len(prior)
    found = minimize(
        loss, prior.astype(np.float64), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS}
    )
    return np.asarray(found.x, dtype=np.float32)
