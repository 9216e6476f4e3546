"""From an engine's score to a probability that means what it says.

Scores of one offer are first compared with each other (the receiver's share in the softmax of the scores' logits,
against an even share), since an engine is asked "who of these?"; then two numbers are learnt on folds that the engine
did not see (Platt 1999, "Probabilistic outputs for support vector machines"), so that 0.7 means 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from ism.data.market import Floats

_EDGE = 1e-6
_LEAST_POSITIVES = 20  # below, two numbers cannot be learnt
_SHRINK = 1e-3  # of the regression, so that separable folds do not give an infinite slope


def log_lift(scores: Floats) -> Floats:
    """``[q, n]`` scores in 0..1 -> log of how many times an even share each receiver has among the ``n``.

    An even share is 1/n, so that a lift means the same among 200 receivers as among 2,000.
    """
    if not scores.size:
        return scores
    utility = logit(np.clip(scores.astype(np.float64), _EDGE, 1 - _EDGE))
    utility -= utility.max(axis=-1, keepdims=True)
    share = utility - np.log(np.exp(utility).sum(axis=-1, keepdims=True))
    return np.asarray(share + np.log(scores.shape[-1]), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """``P = sigmoid(slope * log_lift + intercept)``.

    Attributes:
        cases: pairs with a known answer that it was learnt from; 0 when the share itself is used.
    """

    slope: float = 1.0
    intercept: float = 0.0
    cases: int = 0

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities for ``[q, n]`` scores of an engine, in 0..1, in the same order."""
        lift = log_lift(scores)
        if not self.cases:
            return np.asarray(np.exp(lift) / max(scores.shape[-1], 1), dtype=np.float32)
        return np.asarray(expit(self.slope * lift + self.intercept), dtype=np.float32)


def fit_calibration(lift: Floats, relevant: Floats) -> Calibration:
    """Learn slope and intercept; identity where the positives are too few or the scores say nothing.

    Args:
        lift: ``[m]`` log lifts that the engine gave to pairs it had not seen.
        relevant: ``[m]`` 1 where the receiver took the offer.
    """
    positives, spread = int(relevant.sum()), float(lift.std())
    if positives < _LEAST_POSITIVES or positives == len(relevant) or spread < _EDGE:
        return Calibration()
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - 1 s to import, needed at fit time only

    # In units of its own spread: the solver stops early on scores that hardly differ, and leaves them without a say.
    model = LogisticRegression(C=1.0 / _SHRINK, max_iter=500).fit(lift.reshape(-1, 1) / spread, relevant)
    slope, intercept = float(model.coef_[0, 0]) / spread, float(model.intercept_[0])
    if not np.isfinite([slope, intercept]).all() or slope <= 0:
        return Calibration()
    return Calibration(slope, intercept, len(relevant))
