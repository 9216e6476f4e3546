"""The weighted sum: contributions that add up to the score, whoever is absent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats
from ism.domain.errors import InvalidInputError

Numbers = TypeVar("Numbers", npt.NDArray[np.float32], npt.NDArray[np.float64])

DEFAULT_WEIGHTS = {"gnn": 0.30, "federated": 0.25, "knowledge_graph": 0.25, "matching": 0.20}


def checked(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights as they were given.

    Raises:
        InvalidInputError: one is no number, not finite or below 0.
    """
    for name, weight in weights.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
            raise InvalidInputError(f"weights.{name}", weight, "Give a number that is 0 or more.")
    return dict(weights)


def renormalised(weights: Mapping[str, float], present: list[str]) -> dict[str, float]:
    """Weights of the engines that are there, scaled to add up to 1; equal ones where all their weights are 0.

    Raises:
        InvalidInputError: nobody is present, or an engine has no weight.
    """
    if not present:
        raise InvalidInputError("engines", present, "Give the output of at least one engine.")
    unknown = [name for name in present if name not in weights]
    if unknown:
        raise InvalidInputError(
            "engine_name", unknown[0], f"The fusion model weighs only {', '.join(sorted(weights))}."
        )
    total = sum(weights[name] for name in present)
    if total <= 0:
        return {name: 1.0 / len(present) for name in present}
    return {name: weights[name] / total for name in present}


def weighted_sum(
    probabilities: Mapping[str, Numbers], weights: Mapping[str, float]
) -> tuple[Numbers, dict[str, Numbers]]:
    """Fused score, at most 1, and each engine's share of it; shares add up to the score, in the arrays' own precision.

    Args:
        probabilities: engine -> array of any one shape, in 0..1.
        weights: engine -> weight, non-negative.
    """
    share = renormalised(weights, list(probabilities))
    contributions = {name: np.asarray(share[name] * values) for name, values in probabilities.items()}
    return np.asarray(np.minimum(sum(contributions.values()), 1.0)), contributions


def agreement(probabilities: Mapping[str, Numbers], weights: Mapping[str, float]) -> Floats:
    """Confidence in 0..1: one minus the spread of the engines' opinions, times the share of all weight that took part.

    The spread is the weighted mean distance to the fused score, relative to the largest that is possible for it
    (``2 s (1 - s)`` for a score ``s``, reached when the engines say only 0 and 1).
    """
    share = renormalised(weights, list(probabilities))
    fused, _ = weighted_sum(probabilities, weights)
    spread = sum(share[name] * np.abs(values - fused) for name, values in probabilities.items())
    largest = np.maximum(2.0 * fused * (1.0 - fused), 1e-6)
    took_part = sum(weights[name] for name in probabilities) / max(sum(weights.values()), 1e-12)
    return np.asarray(np.clip(1.0 - spread / largest, 0.0, 1.0) * took_part, dtype=np.float32)
