"""The weighted sum as a fusion method: a linear opinion pool (Stone 1961, "The opinion pool")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from ism.domain.engine import FusionModelType
from ism.fusion.method import Fused, FusionMethod
from ism.fusion.weighted_sum import Numbers, weighted_sum


class WeightedSum(FusionMethod):
    """The mean of the probabilities by weight; attributions are its terms."""

    name: ClassVar[str] = "weighted_sum"
    model_type: ClassVar[FusionModelType] = "weighted_sum"

    def value(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """Fused scores; see `FusionMethod.value`."""
        return weighted_sum(opinions, self.weights)[0]

    def fuse(self, opinions: Mapping[str, Numbers]) -> Fused[Numbers]:
        """Fused scores with their linear attributions."""
        return Fused(*weighted_sum(opinions, self.weights))

    @classmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """See `FusionMethod.from_parameters`."""
        return cls(weights)
