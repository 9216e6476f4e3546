"""Stacking by gradient-boosted trees with monotone constraints, on top of the logistic one.

Ke et al. 2017, "LightGBM: a highly efficient gradient boosting decision tree". The trees only correct the logistic
stacking (Friedman 2001, "Greedy function approximation": boosting from an initial model). It is strictly increasing in
every engine with a say and the trees are non-decreasing, so that the steps of the trees tie nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ism.domain.engine import FusionModelType
from ism.domain.errors import InvalidInputError
from ism.fusion.method import FusionMethod
from ism.fusion.stacking import Stacking, log_odds
from ism.fusion.weighted_sum import Numbers, renormalised

if TYPE_CHECKING:
    import lightgbm

_ROUND = 4  # digits after the point of what the trees see: sums in another order must not cross a threshold


def rounded(columns: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """What the trees see."""
    return np.asarray(np.round(columns.astype(np.float64), _ROUND), dtype=np.float64)


class BoostedTrees(FusionMethod):
    """``sigmoid(log odds of the stacking + trees)``.

    Args:
        base: the stacking that is corrected.
        trees: LightGBM's text, whose features are the engines' log odds in the order of the base's weights.
    """

    name: ClassVar[str] = "boosted_trees"
    model_type: ClassVar[FusionModelType] = "ml_model"

    def __init__(self, base: Stacking, trees: str) -> None:
        super().__init__(base.weights)
        self.base, self.trees = base, trees

    def value(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """Fused scores; see `FusionMethod.value`."""
        base = self.base.odds(opinions)
        share = renormalised(self.weights, list(opinions))
        said = {name: log_odds(values) for name, values in opinions.items()}
        others = np.asarray(sum(share[name] * values for name, values in said.items()))
        columns = np.stack([said.get(name, others).ravel() for name in self.weights], axis=1)
        if not len(columns):
            return base
        added = np.asarray(self._booster.predict(rounded(columns), raw_score=True, num_threads=1))
        return np.asarray(expit(base + added.reshape(base.shape)), dtype=base.dtype)

    def parameters(self) -> dict[str, Any]:
        """See `FusionMethod.parameters`."""
        return {**self.base.parameters(), "trees": self.trees}

    @classmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """See `FusionMethod.from_parameters`."""
        return cls(Stacking.from_parameters(weights, parameters), str(parameters["trees"]))

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        import lightgbm  # noqa: PLC0415 - 1 s; only where trees are asked

        try:
            return lightgbm.Booster(model_str=self.trees)
        except lightgbm.basic.LightGBMError as error:
            raise InvalidInputError("trees", self.trees, "Give the text of a LightGBM model; fit it again.") from error
