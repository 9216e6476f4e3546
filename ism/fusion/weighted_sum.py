"""The weighted sum: contributions that add up to the score, whoever is absent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ism.data.market import Floats
from ism.domain.errors import InvalidInputError

DEFAULT_WEIGHTS = {"gnn": 0.30, "federated": 0.25, "knowledge_graph": 0.25, "matching": 0.20}


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


def weighted_sum(probabilities: Mapping[str, Floats], weights: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
    """Fused score and each engine's share of it; shares add up to the score.

    Args:
        probabilities: engine -> array of any one shape, in 0..1.
        weights: engine -> weight, non-negative.
    """
    share = renormalised(weights, list(probabilities))
    contributions = {name: np.asarray(share[name] * values, np.float32) for name, values in probabilities.items()}
    return np.asarray(sum(contributions.values()), dtype=np.float32), contributions


def agreement(probabilities: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
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
