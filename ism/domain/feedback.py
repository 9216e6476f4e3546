"""What happened after a match, and what is asked for because of it: plain values, in CONTRACT.md's shapes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

EventType = Literal["user_feedback", "match_outcome", "system_metric", "error"]
EventSource = Literal["user", "system", "external"]
Outcome = Literal["shown", "opened", "contacted", "negotiating", "accepted", "rejected", "delivered", "failed"]
IngestStatus = Literal["stored", "duplicate", "conflict", "rejected"]
DeadLetterState = Literal["open", "replayed", "discarded"]
TriggerType = Literal["schedule", "feedback", "performance", "manual"]
TriggerCause = Literal["volume", "negative_share", "trend", "live_quality", "schedule", "manual"]
TriggerDecision = Literal["fired", "deferred", "coalesced", "refused"]
RequestState = Literal["open", "delivered", "finished", "cancelled"]

DEFAULT_PRIORITY = 3


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """One thing that happened, as it was told.

    Attributes:
        event_id: the sender's own identifier, or one that was made; the same event never counts twice.
        data: what happened; its fields depend on ``event_type``.
        event_time: when it happened, UTC.
        recorded_at: when it was taken in, UTC.
        priority: 1 (least) to 5 (most urgent).
    """

    event_id: str
    event_type: EventType
    source: EventSource
    data: dict[str, Any]
    event_time: datetime = field(default_factory=_now)
    recorded_at: datetime = field(default_factory=_now)
    metadata: dict[str, Any] = field(default_factory=dict)
    priority: int = DEFAULT_PRIORITY


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the log and what it was joined to.

    Attributes:
        sequence: grows in the order of commits; whoever has handled all events up to a number misses none.
        recommendation_id: what it is about, found by its identifier or by offer and receiver; None where it is about
            none.
        actor_id: who said so, where known.
        model_name: the model that it is about, where it names one.
    """

    sequence: int
    event: FeedbackEvent
    recommendation_id: str | None = None
    actor_id: str | None = None
    model_name: str | None = None


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of one event that was handed in.

    Attributes:
        event_id: None where what was handed in names none and was not stored.
        reason: why, where the status is ``conflict`` or ``rejected``.
        letter_id: the dead letter that keeps what was rejected.
    """

    event_id: str | None
    status: IngestStatus
    reason: str = ""
    letter_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that was sent as feedback and could not be used, with the reason.

    Attributes:
        letter_id: made from the body, so that the same bad body sent again is the same letter.
        body: the JSON text as it came; its beginning where it was too large to keep.
        body_bytes: size of the whole body, in bytes.
        body_sha256: of the whole body, hexadecimal.
        field: which field could not be used.
        value: what stood there, shortened.
        attempts: how often it was handed in or replayed in vain.
        event_id: the event that a replay stored.
    """

    letter_id: str
    body: str
    body_bytes: int
    body_sha256: str
    field: str
    value: str
    reason: str
    state: DeadLetterState
    attempts: int
    first_at: datetime
    last_at: datetime
    idempotency_key: str | None = None
    event_id: str | None = None
    decided_at: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether ``body`` is all that was sent, so that it can be replayed as it is."""
        return len(self.body.encode()) == self.body_bytes


@dataclass(frozen=True, slots=True)
class RetrainingTrigger:
    """One decision about retraining a model, with the numbers that led to it.

    Attributes:
        trigger_type: as a retraining job carries it.
        cause: which rule spoke.
        numbers: what was measured and the threshold that it was held against.
        fingerprint: the same for the same cause on the same evidence.
        request_id: the retraining request that it led to, or was coalesced into.
    """

    trigger_id: str
    model_name: str
    trigger_type: TriggerType
    cause: TriggerCause
    decision: TriggerDecision
    reason: str
    fingerprint: str
    numbers: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    decided_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """A wish that a model be trained again; whoever trains takes it from the store.

    Attributes:
        config: CONTRACT.md's ``config`` of a retraining job.
        trigger_id: the first decision that asked for it.
    """

    request_id: str
    model_name: str
    trigger_type: TriggerType
    fingerprint: str
    trigger_id: str
    config: dict[str, Any] = field(default_factory=dict)
    state: RequestState = "open"
    created_at: datetime = field(default_factory=_now)
    delivered_at: datetime | None = None
    finished_at: datetime | None = None
