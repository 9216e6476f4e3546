"""From an engine's score to a probability that means what it says.

Scores of one offer are first compared with each other (the log of the receiver's share in the softmax of the scores'
logits), since an engine is asked "who of these?"; then two numbers are learnt on folds that the engine did not see
(Platt 1999, "Probabilistic outputs for support vector machines"), so that 0.7 means 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, logsumexp

from ism.data.market import Floats

_EDGE = 1e-6
_LEAST_POSITIVES = 20  # below, two numbers cannot be learnt
_SHRINK = 1e-3  # of the regression, so that separable folds do not give an infinite slope


def log_share(scores: Floats) -> Floats:
    """``[q, n]`` scores in 0..1 -> log of each receiver's share among the ``n``."""
    utility = logit(np.clip(scores.astype(np.float64), _EDGE, 1 - _EDGE))
    return np.asarray(utility - logsumexp(utility, axis=-1, keepdims=True), dtype=np.float32) if scores.size else scores


@dataclass(frozen=True, slots=True)
class Calibration:
    """``P = sigmoid(slope * log_share + intercept)``.

    Attributes:
        cases: pairs with a known answer that it was learnt from; 0 when the share itself is used.
    """

    slope: float = 1.0
    intercept: float = 0.0
    cases: int = 0

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities for ``[q, n]`` scores of an engine, in 0..1, in the same order."""
        share = log_share(scores)
        if not self.cases:
            return np.exp(share)
        return np.asarray(expit(self.slope * share + self.intercept), dtype=np.float32)


def fit_calibration(share: Floats, relevant: Floats) -> Calibration:
    """Learn slope and intercept; identity where the positives are too few or the scores say nothing.

    Args:
        share: ``[m]`` log shares that the engine gave to pairs it had not seen.
        relevant: ``[m]`` 1 where the receiver took the offer.
    """
    positives = int(relevant.sum())
    if positives < _LEAST_POSITIVES or positives == len(relevant):
        return Calibration()
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - 1 s to import, needed at fit time only

    model = LogisticRegression(C=1.0 / _SHRINK, max_iter=500).fit(share.reshape(-1, 1), relevant)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if not np.isfinite([slope, intercept]).all() or slope <= 0:
        return Calibration()
    return Calibration(slope, intercept, len(relevant))
