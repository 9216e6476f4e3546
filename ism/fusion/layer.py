"""`AIFusionLayer`: fuses the outputs of engines for one pair, as SPEC.md shows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np

from ism.domain.engine import EngineOutput, FusionModel, FusionResult
from ism.domain.errors import InvalidInputError
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS, agreement, checked, weighted_sum

DEFAULT_MODEL = "default_weighted_sum"


class AIFusionLayer:
    """Combines several engines' opinions of one pair into one explained score.

    Args:
        weights: engine -> weight, non-negative; those of `DEFAULT_MODEL` when not given.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        chosen = DEFAULT_WEIGHTS if weights is None else weights
        self._model = FusionModel(DEFAULT_MODEL, "weighted_sum", checked(chosen))

    async def fuse_engine_outputs(self, outputs: Sequence[EngineOutput]) -> FusionResult:
        """One score from several; see `fuse`."""
        return self.fuse(outputs)

    def fuse(self, outputs: Sequence[EngineOutput]) -> FusionResult:
        """One score from several outputs for one pair, whose confidences are probabilities (`Calibration` makes them).

        Engines that the model weighs and that are absent are named, and their weight is shared by the others in
        proportion.

        Raises:
            InvalidInputError: there is no output, a score is not in 0..1, an engine speaks twice, or the model does not
                know it.
        """
        started = time.perf_counter()
        outputs = [replace(output) for output in outputs]  # checks values that were set after construction, too
        names = [output.engine_name for output in outputs]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise InvalidInputError("engine_name", repeated, "Give one output of each engine.")
        said = {output.engine_name: np.asarray(output.confidence_score, np.float64) for output in outputs}
        fused, shares = weighted_sum(said, self._model.weights)
        confidence = float(agreement(said, self._model.weights))
        contributions = {name: float(share) for name, share in shares.items()}
        missing = [name for name in self._model.weights if name not in said]
        return FusionResult(
            final_score=float(fused),
            confidence=confidence,
            engine_contributions=contributions,
            explanation=explanation(float(fused), confidence, contributions, missing),
            metadata={
                "fusion_model_id": self._model.model_id,
                "processing_time": time.perf_counter() - started,
                "engine_count": len(outputs),
                "missing_engines": missing,
            },
        )

    def get_fusion_models(self) -> list[FusionModel]:
        """The models that can be chosen; copies, so that changing one changes nothing here."""
        return [deepcopy(self._model)]


def explanation(score: float, confidence: float, contributions: Mapping[str, float], missing: Sequence[str]) -> str:
    """The fused score in words."""
    shares = sorted(contributions.items(), key=lambda share: -abs(share[1]))
    parts = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in shares)
    absent = (
        f" Without {', '.join(name.replace('_', ' ') for name in missing)}, which did not answer." if missing else ""
    )
    return f"Score {score:.2f} is the sum of {parts}. Confidence {confidence:.2f}.{absent}"
