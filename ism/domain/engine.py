"""What engines and the fusion of engines say: plain values, in the shapes that CONTRACT.md gives."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ism.domain.errors import InvalidInputError

FusionModelType = Literal["weighted_sum", "ml_model", "ensemble"]
ReasonKind = Literal[
    "rule", "precedent", "similarity", "sector", "distance", "quantity", "price", "hazard", "generated"
]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class EngineOutput:
    """What one engine says of one pair.

    Attributes:
        confidence_score: 0..1.
        processing_time: seconds.

    Raises:
        InvalidInputError: the score is not a number in 0..1, or the name is empty.
    """

    engine_name: str
    confidence_score: float
    prediction: Any = None
    features: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    timestamp: datetime = field(default_factory=_now)
    processing_time: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.engine_name, str) or not self.engine_name:
            raise InvalidInputError("engine_name", self.engine_name, "Give the engine's name as text.")
        number = isinstance(self.confidence_score, int | float) and not isinstance(self.confidence_score, bool)
        if not number or not 0.0 <= self.confidence_score <= 1.0:
            raise InvalidInputError("confidence_score", self.confidence_score, "Give a number between 0 and 1.")


@dataclass(slots=True)
class FusionResult:
    """Several engines' outputs as one score.

    Attributes:
        final_score: 0..1.
        confidence: 0..1: how far the engines agree and how many of them spoke.
        engine_contributions: signed shares that add up to ``final_score``.
        metadata: at least ``fusion_model_id``, ``processing_time`` (s), ``engine_count``, ``missing_engines``.
    """

    final_score: float
    confidence: float
    engine_contributions: dict[str, float]
    explanation: str
    metadata: dict[str, Any] = field(default_factory=dict)
    timestamp: datetime = field(default_factory=_now)


@dataclass(slots=True)
class FusionModel:
    """A way to fuse, as it is stored and shown."""

    model_id: str
    model_type: FusionModelType
    weights: dict[str, float]
    parameters: dict[str, Any] = field(default_factory=dict)
    performance_metrics: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    last_updated: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of why, with where it comes from.

    Attributes:
        strength: how much it carried, in the engine's own score units; for ordering only.
        detail: machine-readable parts (``rule_id``, ``exchange_id``, ``km`` ...).
    """

    text: str
    kind: ReasonKind
    source: str = ""
    engine: str = ""
    strength: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)
