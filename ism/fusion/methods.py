"""Fusion methods by name, and the way from a stored model to its method and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ism.domain.engine import FusionModel
from ism.domain.errors import InvalidInputError
from ism.fusion.adaptive import Adaptive
from ism.fusion.boosted_trees import BoostedTrees
from ism.fusion.ensemble import Ensemble
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.method import FusionMethod
from ism.fusion.reciprocal_rank import ReciprocalRank
from ism.fusion.stacking import Stacking
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS

METHODS: dict[str, type[FusionMethod]] = {
    method.name: method for method in (WeightedSum, Stacking, BoostedTrees, Ensemble, ReciprocalRank, Adaptive)
}
DEFAULT_MODEL = "default_weighted_sum"
RRF_MODEL = "rrf"
ADAPTIVE_MODEL = "adaptive"


def make(name: str, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> FusionMethod:
    """A method by name.

    Raises:
        InvalidInputError: there is no such method, or its parameters cannot be used.
    """
    if name not in METHODS:
        raise InvalidInputError("method", name, f"Give one of {', '.join(METHODS)}.")
    try:
        return METHODS[name].from_parameters(weights, parameters)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = f"The parameters of {name} cannot be read ({error!r}). Fit the model again."
        raise InvalidInputError("parameters", dict(parameters), remedy) from error


def method_of(model: FusionModel) -> FusionMethod:
    """The method that a model describes; its name is ``parameters["method"]``, the weighted sum where none is named."""
    return make(str(model.parameters.get("method", WeightedSum.name)), model.weights, model.parameters)


def model_of(model_id: str, method: FusionMethod, metrics: Mapping[str, Any] | None = None) -> FusionModel:
    """A method as a model that can be stored."""
    parameters = {"method": method.name, **method.parameters()}
    return FusionModel(model_id, method.model_type, dict(method.weights), parameters, dict(metrics or {}))


def built_in() -> list[FusionModel]:
    """The models that need no learning, the default first: the weighted sum, reciprocal ranks, adaptive weights."""
    even = dict.fromkeys(DEFAULT_WEIGHTS, 1.0 / len(DEFAULT_WEIGHTS))
    return [
        FusionModel(DEFAULT_MODEL, WeightedSum.model_type, dict(DEFAULT_WEIGHTS)),
        model_of(RRF_MODEL, ReciprocalRank(even)),
        model_of(ADAPTIVE_MODEL, Adaptive(DEFAULT_WEIGHTS)),
    ]
