"""Records of the fusion: which model answers, who switched it, and what matured outcomes taught it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ActiveFusion:
    """Which fusion model answers.

    Attributes:
        generation: grows with every switch and every change of weights; 0 where nothing was ever switched.
    """

    model_id: str
    version: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class FusionSwitch:
    """One switch of the active model, as it is logged for good.

    Attributes:
        number: counts the switches from 1.
        reverts: number of the switch that this one takes back; None for others.
    """

    number: int
    model_id: str
    version: int
    previous_id: str
    previous_version: int
    actor: str
    reason: str
    reverts: int | None
    switched_at: datetime


@dataclass(frozen=True, slots=True)
class MaturedOutcome:
    """What came of one recommendation, and what each engine had said of it.

    Attributes:
        scores: engine -> calibrated probability, as it was logged; engines that were silent are left out.
        label: 1 where the match came about, 0 where it did not, between them where that is not sure.
        weight: 0..1, how much the outcome counts.
        matured_at: when the outcome was settled.
    """

    recommendation_id: str
    scores: dict[str, float]
    label: float
    weight: float
    matured_at: datetime


@dataclass(frozen=True, slots=True)
class WeightStep:
    """The adaptive weights after one matured outcome.

    Attributes:
        loss: fused log loss of the outcome before the step, times its weight, in nats.
    """

    outcome: MaturedOutcome
    weights: dict[str, float]
    loss: float


@dataclass(frozen=True, slots=True)
class MaturedOutcomes:
    """`MaturedOutcome` as columns of ``m`` rows.

    Attributes:
        scores: engine -> ``[m]`` probabilities; NaN where the engine was silent.
        label: ``[m]`` in 0..1.
        weight: ``[m]`` in 0..1.
        matured_at: ``[m]`` aware times.
    """

    recommendation_id: Sequence[str]
    scores: dict[str, npt.NDArray[np.floating]]
    label: npt.NDArray[np.floating]
    weight: npt.NDArray[np.floating]
    matured_at: Sequence[datetime]
