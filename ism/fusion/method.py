"""The contract of a fusion method.

Promises that `tests/fusion/test_methods.py` holds every method to:

- *In range*: scores are in 0..1, in the arrays' own precision.
- *Whoever is absent*: any non-empty set of a method's engines can be fused; the absent leave their say to the others in
  proportion, which is the same as taking them to say what the others say on weighted average.
- *Exact*: contributions add up to the score. They are linear where the method is, else Shapley values
  (`ism.fusion.shapley`), whose baseline, the score of nobody, is 0.
- *Monotone*: a higher probability of one engine never lowers the score.
- *Plain*: a method is made from a `FusionModel` and gives one, of JSON values only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self

from ism.domain.engine import FusionModelType
from ism.fusion.shapley import shapley
from ism.fusion.weighted_sum import Numbers, checked, renormalised


@dataclass(frozen=True)
class Fused(Generic[Numbers]):
    """Fused scores, and by engine what each contributed; contributions add up to ``final``."""

    final: Numbers
    contributions: dict[str, Numbers]


class FusionMethod(ABC):
    """Fuses the calibrated probabilities of several engines.

    Args:
        weights: engine -> say, non-negative; who is absent leaves it to the others.

    Raises:
        InvalidInputError: a weight is no number that is 0 or more.
    """

    name: ClassVar[str]
    model_type: ClassVar[FusionModelType]
    needs_list: ClassVar[bool] = False  # whether a pair can only be scored among others, along the last axis

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = checked(weights)

    @abstractmethod
    def value(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """Fused scores of the engines that are there.

        Args:
            opinions: engine -> probabilities, ``[..., n]`` of any one shape; ``n`` are receivers of one offer.

        Raises:
            InvalidInputError: nobody is there, or an engine has no weight.
        """

    def fuse(self, opinions: Mapping[str, Numbers]) -> Fused[Numbers]:
        """Fused scores with their attributions; arguments and errors as in `value`."""
        renormalised(self.weights, list(opinions))
        shares = shapley(lambda chosen: self.value({name: opinions[name] for name in chosen}), list(opinions))
        return Fused(self.value(opinions), shares)

    def parameters(self) -> dict[str, Any]:
        """What, beside the weights, makes this method again; JSON values."""
        return {}

    @classmethod
    @abstractmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """The method that gave these weights and `parameters`.

        Raises:
            InvalidInputError: a value cannot be used.
            KeyError, TypeError, ValueError: one is missing or of the wrong kind.
        """
