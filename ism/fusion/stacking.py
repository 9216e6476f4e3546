"""Stacking by a non-negative logistic regression on the engines' log odds.

Wolpert 1992, "Stacked generalization"; non-negative coefficients as in Breiman 1996, "Stacked regressions". With a sum
of log odds, engines that are each fairly sure can together be surer than any of them; with a weighted mean they cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit, logit

from ism.domain.engine import FusionModelType
from ism.domain.errors import InvalidInputError
from ism.fusion.method import Fused, FusionMethod
from ism.fusion.shapley import shapley
from ism.fusion.weighted_sum import Numbers, renormalised

_EDGE = 1e-6  # probabilities nearer to 0 or 1 count as this near


def log_odds(probabilities: Numbers) -> Numbers:
    """Log odds, finite also for 0 and 1."""
    edge = probabilities.dtype.type(_EDGE)
    return np.asarray(logit(np.clip(probabilities, edge, 1 - edge)), dtype=probabilities.dtype)


class Stacking(FusionMethod):
    """``sigmoid(intercept + sum of weight * log odds)``.

    Args:
        weights: engine -> coefficient, non-negative.
        intercept: in log odds.
    """

    name: ClassVar[str] = "stacking"
    model_type: ClassVar[FusionModelType] = "ml_model"

    def __init__(self, weights: Mapping[str, float], intercept: float) -> None:
        super().__init__(weights)
        if not np.isfinite(intercept):
            raise InvalidInputError("intercept", intercept, "Give a finite number.")
        self.intercept = float(intercept)

    def odds(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """The fused score's log odds."""
        return self._joined({name: log_odds(values) for name, values in opinions.items()})

    def value(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """Fused scores; see `FusionMethod.value`."""
        return np.asarray(expit(self.odds(opinions)))

    def fuse(self, opinions: Mapping[str, Numbers]) -> Fused[Numbers]:
        """Fused scores with Shapley values; the engines' log odds are taken once for all sets."""
        said = {name: log_odds(values) for name, values in opinions.items()}

        def value(chosen: tuple[str, ...]) -> Numbers:
            return np.asarray(expit(self._joined({name: said[name] for name in chosen})))

        return Fused(value(tuple(said)), shapley(value, list(said)))

    def _joined(self, said: Mapping[str, Numbers]) -> Numbers:
        share, total = renormalised(self.weights, list(said)), sum(self.weights.values())
        odds = sum((values * values.dtype.type(total * share[name]) for name, values in said.items()))
        return np.asarray(odds + self.intercept)

    def parameters(self) -> dict[str, Any]:
        """See `FusionMethod.parameters`."""
        return {"intercept": self.intercept}

    @classmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """See `FusionMethod.from_parameters`."""
        return cls(weights, float(parameters["intercept"]))
