"""The tables of feedback: the log of events, what could not be used, and what was concluded from both.

The log is its own outbox. Sequence numbers are given under one row lock that is held until the commit, so their order
is the order of commits: a consumer that keeps the last number that it handled (`cursor`, written in the transaction of
what it did) misses no event and does none twice.
"""

from __future__ import annotations

from typing import get_args

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Double, Index, Integer, Table, Text, text

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
PRIORITIES = (1, 5)
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
EVENT_SOURCES: tuple[str, ...] = get_args(EventSource)
LETTER_STATES: tuple[str, ...] = get_args(DeadLetterState)
LABEL_STATES = ("open", "matured", "censored")
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

label = Table(
    "ism_label",
    metadata,
    Column("recommendation_id", identifier(), primary_key=True),
    Column("state", Text, nullable=False),
    Column("outcome", Text),  # the last one that counted
    Column("value", Double),  # 0 bad to 1 good; NULL while not known
    Column("weight", Double, nullable=False),  # of the evidence, after trust
    Column("propensity", Double),  # of having been seen, as logged
    Column("shown_at", UtcDateTime, nullable=False),
    Column("outcome_at", UtcDateTime),
    Column("matured_at", UtcDateTime),
    Column("sequence", BigInteger, nullable=False),  # the last event that went into it
    Column("detail", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    one_of("state", LABEL_STATES),
    between("value", UNIT),
    CheckConstraint("weight >= 0", name="weight_range"),
    between("propensity", UNIT),
    Index(None, "state", "matured_at"),
)

actor = Table(
    "ism_actor",
    metadata,
    Column("actor_id", identifier(), primary_key=True),
    Column("company_id", identifier()),
    Column("trust", Double, nullable=False),
    Column("events", Integer, nullable=False),
    Column("agreed", Double, nullable=False),  # weight of its statements that outcomes or peers bore out
    Column("disagreed", Double, nullable=False),
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
    filled("request_id"),
    one_of("trigger_type", get_args(TriggerType)),
    one_of("state", get_args(RequestState)),
    Index(None, "state", "created_at"),
)
