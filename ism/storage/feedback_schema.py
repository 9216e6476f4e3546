"""The tables of feedback: the log of events, what could not be used, and what was concluded from both.

The log is its own outbox. Sequence numbers are given under one row lock that is held until the commit, so their order
is the order of commits: a consumer that keeps the last number that it handled (`cursor`, written in the transaction of
what it did) misses no event and does none twice.
"""

from __future__ import annotations

from typing import get_args

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Double, Index, Integer, Table, Text, text

from ism.domain.feedback import (
    DeadLetterState,
    EventSource,
    EventType,
    RequestState,
    TriggerCause,
    TriggerDecision,
    TriggerType,
)
from ism.storage.schema import UNIT, UtcDateTime, between, filled, identifier, metadata, one_of

FEEDBACK_COUNTER = "feedback"
LABEL_COUNTER = "label"
PRIORITIES = (1, 5)
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
EVENT_SOURCES: tuple[str, ...] = get_args(EventSource)
LETTER_STATES: tuple[str, ...] = get_args(DeadLetterState)
LABEL_STATES = ("censored", "matured")
QUARANTINE_STATES = ("held", "released", "confirmed")


def _either(column: str, choices: tuple[str, ...]) -> CheckConstraint:
    """As `one_of`, in a form that costs SQLite a tenth of the time: the log is written often."""
    return CheckConstraint(" OR ".join(f"{column} = {choice!r}" for choice in choices), name=f"{column}_known")


_ROWID = BigInteger().with_variant(Integer, "sqlite")  # SQLite keeps rows in the order of an INTEGER key
_HAS_KEY = text("idempotency_key IS NOT NULL")
_IS_JOINED = text("recommendation_id IS NOT NULL")

event = Table(
    "ism_feedback",
    metadata,
    Column("sequence", _ROWID, primary_key=True, autoincrement=False),
    Column("event_id", identifier(), nullable=False),
    Column("idempotency_key", identifier()),
    Column("digest", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("event_time", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("recommendation_id", identifier()),
    Column("actor_id", identifier()),
    Column("model_name", identifier()),
    filled("event_id"),
    _either("event_type", EVENT_TYPES),
    _either("source", EVENT_SOURCES),
    CheckConstraint("priority BETWEEN 1 AND 5", name="priority_range"),
    Index(None, "event_id", unique=True),
    Index(None, "idempotency_key", unique=True, sqlite_where=_HAS_KEY, postgresql_where=_HAS_KEY),
    Index(None, "recommendation_id", sqlite_where=_IS_JOINED, postgresql_where=_IS_JOINED),
)

cursor = Table(
    "ism_feedback_cursor",
    metadata,
    Column("consumer", identifier(), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    filled("consumer"),
)

dead_letter = Table(
    "ism_dead_letter",
    metadata,
    Column("letter_id", identifier(), primary_key=True),
    Column("body", Text, nullable=False),
    Column("body_bytes", BigInteger, nullable=False),
    Column("body_sha256", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("idempotency_key", identifier()),
    Column("event_id", identifier()),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    one_of("state", LETTER_STATES),
    CheckConstraint("attempts >= 1", name="attempts_positive"),
    Index(None, "state", "letter_id"),
)

# Only ever appended to: what was believed at an earlier moment can always be read again.
label = Table(
    "ism_label",
    metadata,
    Column("version", _ROWID, primary_key=True, autoincrement=False),  # grows in the order of commits
    Column("recommendation_id", identifier(), nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # the furthest stage
    Column("value", Double),  # 1 good, 0 bad; NULL while censored
    Column("weight", Double, nullable=False),  # of the evidence, after trust
    Column("shown_at", UtcDateTime, nullable=False),
    Column("matured_at", UtcDateTime),
    Column("actor_id", identifier()),  # whose word weighs most; NULL where silence decided
    Column("company_id", identifier()),
    Column("detail", JSON, nullable=False),  # evidence on both sides
    one_of("state", LABEL_STATES),
    between("value", UNIT),
    between("weight", UNIT),
    CheckConstraint("(state = 'matured') = (value IS NOT NULL)", name="matured_has_value"),
    Index(None, "recommendation_id", "version"),
    Index(None, "state", "shown_at"),
)

# What an event says about the quality of a match, so that it need not be read from its JSON again.
statement = Table(
    "ism_statement",
    metadata,
    Column("sequence", _ROWID, primary_key=True, autoincrement=False),  # of the event
    Column("event_id", identifier(), nullable=False),
    Column("recommendation_id", identifier()),
    Column("subject", identifier()),  # kind of material and receiver: what actors can agree on
    Column("actor_id", identifier(), nullable=False),
    Column("company_id", identifier(), nullable=False),
    Column("model_name", identifier()),
    Column("rating", Double),
    Column("outcome", Text),
    Column("value", Double),  # 1 good, 0 bad; NULL where it takes no side
    Column("strength", Double, nullable=False),
    Column("verified", Boolean, nullable=False),  # seen by a system, not said by a person
    Column("text_digest", Text),
    Column("sentiment", Text),
    Column("topic", Text),
    Column("priority", Integer, nullable=False),
    Column("counted", Boolean, nullable=False),  # false while it is in quarantine
    Column("recorded_at", UtcDateTime, nullable=False),
    CheckConstraint("priority BETWEEN 1 AND 5", name="priority_range"),
    between("value", UNIT),
    between("strength", UNIT),
    Index(None, "event_id", unique=True),
    Index(None, "recommendation_id"),
    Index(None, "actor_id", "recorded_at"),
    Index(None, "text_digest", "recorded_at"),
    Index(None, "model_name", "sequence"),
)

actor = Table(
    "ism_actor",
    metadata,
    Column("actor_id", identifier(), primary_key=True),
    Column("company_id", identifier()),
    Column("trust", Double, nullable=False),
    Column("statements", Integer, nullable=False),
    Column("bloc", identifier(), nullable=False),  # one of the companies that it is counted with
    Column("reasons", JSON, nullable=False),  # each with its text and numbers
    Column("override_trust", Double),  # an operator's word; it goes before the rest
    Column("override_reason", Text),
    Column("override_by", Text),
    Column("override_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    filled("actor_id"),
    between("trust", UNIT),
    between("override_trust", UNIT),
    Index(None, "company_id"),
)

quarantine = Table(
    "ism_quarantine",
    metadata,
    Column("event_id", identifier(), primary_key=True),
    Column("cause", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("actor_id", identifier()),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_by", Text),
    Column("decided_reason", Text),
    Column("decided_at", UtcDateTime),
    filled("cause"),
    one_of("state", QUARANTINE_STATES),
    Index(None, "state", "event_id"),
)

trigger = Table(
    "ism_trigger",
    metadata,
    Column("trigger_id", identifier(), primary_key=True),
    Column("model_name", identifier(), nullable=False),
    Column("trigger_type", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("numbers", JSON, nullable=False),
    Column("request_id", identifier()),
    Column("decided_at", UtcDateTime, nullable=False),
    filled("trigger_id"),
    one_of("trigger_type", get_args(TriggerType)),
    one_of("cause", get_args(TriggerCause)),
    one_of("decision", get_args(TriggerDecision)),
    Index(None, "model_name", "decided_at"),
    Index(None, "fingerprint"),
)

retraining_request = Table(
    "ism_retraining_request",
    metadata,
    Column("request_id", identifier(), primary_key=True),
    Column("model_name", identifier(), nullable=False),
    Column("trigger_type", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("trigger_id", identifier(), nullable=False),
    Column("config", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    filled("request_id"),
    one_of("trigger_type", get_args(TriggerType)),
    one_of("state", get_args(RequestState)),
    Index(None, "state", "created_at"),
)
