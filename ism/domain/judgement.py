"""What was concluded from feedback: plain values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

LabelState = Literal["censored", "matured"]
QuarantineState = Literal["held", "released", "confirmed"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What one event says about the quality of a match.

    Attributes:
        sequence: of the event.
        subject: kind of material and receiver, on which different actors can agree; None where it names no match.
        rating: 1..5, where it is one.
        value: 1 good, 0 bad, None where it takes no side.
        strength: weight before trust, 0..1.
        verified: whether a system saw it rather than a person said it.
        priority: 1 (least) to 5 (most urgent).
        counted: False while it is in quarantine.
    """

    sequence: int
    event_id: str
    actor_id: str
    company_id: str
    recorded_at: datetime
    recommendation_id: str | None = None
    subject: str | None = None
    model_name: str | None = None
    rating: float | None = None
    outcome: str | None = None
    value: float | None = None
    strength: float = 0.0
    verified: bool = False
    text_digest: str | None = None
    sentiment: str | None = None
    topic: str | None = None
    priority: int = 3
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Label:
    """What was believed of a recommendation from a moment on.

    Attributes:
        version: grows in the order in which labels were written; 0 before it is.
        as_of: from when on it was believed.
        outcome: the furthest stage.
        value: 1 good, 0 bad, None while censored.
        weight: of the evidence after trust, 0..1; 0 while censored.
        shown_at: when the recommendation was shown.
        matured_at: when its fate became known.
        actor_id: whose word weighs most; None where nobody's does.
        detail: evidence for and against it.
    """

    recommendation_id: str
    as_of: datetime
    state: LabelState
    outcome: str
    value: float | None
    weight: float
    shown_at: datetime
    matured_at: datetime | None = None
    actor_id: str | None = None
    company_id: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class ActorTrust:
    """How far an actor is believed, and why.

    Attributes:
        trust: what was estimated, 0..1.
        statements: how many of its statements were counted.
        bloc: name of the companies that it is counted with; its own company's where it stands alone.
        reasons: sentences for people, the numbers in them.
        override_trust: an operator's word, which goes before the estimate.
    """

    actor_id: str
    company_id: str
    trust: float
    statements: int
    bloc: str
    reasons: tuple[str, ...]
    updated_at: datetime
    override_trust: float | None = None
    override_reason: str | None = None
    override_by: str | None = None
    override_at: datetime | None = None

    @property
    def influence(self) -> float:
        """What counts: the operator's word, else the estimate."""
        return self.trust if self.override_trust is None else self.override_trust


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An event that does not count, and why; an operator can release it.

    Attributes:
        cause: ``burst`` or ``duplicate_text``.
        reason: a sentence with the numbers in it.
        state: ``held``; ``released`` counts again; ``confirmed`` stays out for good.
    """

    event_id: str
    cause: str
    reason: str
    numbers: dict[str, Any]
    actor_id: str | None
    created_at: datetime
    state: QuarantineState = "held"
    decided_by: str | None = None
    decided_reason: str | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """A recommendation as it was shown, as far as labels need it."""

    recommendation_id: str
    request_id: str
    rank: int
    receiver_id: str
    final_score: float
    propensity: float
    engine_scores: dict[str, float]
    offer: dict[str, Any]
    shown_at: datetime
    receiver_kind: str = "company"
    model_versions: dict[str, str] = field(default_factory=dict)
