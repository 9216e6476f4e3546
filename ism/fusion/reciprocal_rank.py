"""Reciprocal ranks of calibrated or raw scores: needs neither calibration nor weights, so it serves when all is new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ism.domain.engine import FusionModelType
from ism.domain.errors import InvalidInputError
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.method import Fused, FusionMethod
from ism.fusion.weighted_sum import Numbers

CONSTANT = 60.0


class ReciprocalRank(FusionMethod):
    """Weighted mean of ``(constant + 1) / (constant + rank)``: 1 for who is first with every engine.

    Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods". Scores that tie share the middle of their ranks. The result orders receivers; it is no probability.

    Args:
        weights: engine -> weight.
        constant: how little the first ranks differ.
    """

    name: ClassVar[str] = "rrf"
    model_type: ClassVar[FusionModelType] = "weighted_sum"
    needs_list: ClassVar[bool] = True

    def __init__(self, weights: Mapping[str, float], constant: float = CONSTANT) -> None:
        super().__init__(weights)
        if not (np.isfinite(constant) and constant >= 0):
            raise InvalidInputError("constant", constant, "Give a number that is 0 or more.")
        self.constant = float(constant)

    def value(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """Fused scores; see `FusionMethod.value`."""
        return self.fuse(opinions).final

    def fuse(self, opinions: Mapping[str, Numbers]) -> Fused[Numbers]:
        """Fused scores with their linear attributions."""
        return self.fuse_ranks({name: _ranks(values) for name, values in opinions.items()})

    def fuse_ranks(self, ranks: Mapping[str, Numbers]) -> Fused[Numbers]:
        """The same from ranks that are known, from 1."""
        points = {
            name: np.asarray((self.constant + 1) / (self.constant + rank), dtype=rank.dtype)
            for name, rank in ranks.items()
        }
        return WeightedSum(self.weights).fuse(points)

    def parameters(self) -> dict[str, Any]:
        """See `FusionMethod.parameters`."""
        return {"constant": self.constant}

    @classmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """See `FusionMethod.from_parameters`."""
        return cls(weights, float(parameters.get("constant", CONSTANT)))


def _ranks(values: Numbers) -> Numbers:
    """Ranks along the last axis, the highest first, ties in the middle."""
    if not values.size or not values.ndim:
        return np.ones_like(values)
    order = np.argsort(-values, axis=-1, kind="stable")
    falling = np.take_along_axis(values, order, axis=-1)
    rank = np.arange(1, values.shape[-1] + 1)
    steps = np.diff(falling, axis=-1) != 0
    edge = np.ones((*values.shape[:-1], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, steps], axis=-1), rank, 0), axis=-1)
    ends = np.where(np.concatenate([steps, edge], axis=-1), rank, len(rank) + 1)
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    out = np.empty_like(values)
    np.put_along_axis(out, order, ((first + last) / 2).astype(values.dtype), axis=-1)
    return out
