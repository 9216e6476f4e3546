"""Tables of retraining: jobs with their moves, model versions, what serves and its ledger, and the gate's looks."""

from typing import get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from ism.domain.retraining import JobState, RolloutMode, TriggerType
from ism.storage.schema import UNIT, UtcDateTime, between, filled, identifier, metadata, one_of

TRIGGERS: tuple[str, ...] = get_args(TriggerType)
STATES: tuple[str, ...] = get_args(JobState)
MODES: tuple[str, ...] = get_args(RolloutMode)
VERDICTS = ("PASS", "HOLD", "REJECT")

retraining_job = Table(
    "ism_retraining_job",
    metadata,
    Column("job_id", identifier(), primary_key=True),
    Column("model_name", identifier(), nullable=False),
    Column("trigger_type", Text, nullable=False),
    Column("config", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("error_message", Text),
    Column("detail", JSON, nullable=False),
    Column("moves", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("not_before", UtcDateTime),
    Column("cancel_requested", Boolean, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    filled("job_id"),
    one_of("trigger_type", TRIGGERS),
    one_of("state", STATES),
    Index(None, "model_name", "state"),
    Index(None, "created_at"),
)

retraining_move = Table(
    "ism_retraining_move",
    metadata,
    Column("job_id", identifier(), ForeignKey("ism_retraining_job.job_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    one_of("to_state", STATES),
)

model_version = Table(
    "ism_model_version",
    metadata,
    Column("version_id", identifier(), primary_key=True),
    Column("model_name", identifier(), nullable=False),
    Column("number", Integer, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("files", JSON, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("parent", identifier()),
    Column("job_id", identifier()),
    Column("gate", Text, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
    filled("version_id"),
    filled("artifact"),
    one_of("gate", VERDICTS),
    CheckConstraint("number >= 1", name="number_positive"),
    UniqueConstraint("model_name", "number"),
)

model_pointer = Table(
    "ism_model_pointer",
    metadata,
    Column("model_name", identifier(), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("champion", identifier(), ForeignKey("ism_model_version.version_id")),
    Column("previous", identifier(), ForeignKey("ism_model_version.version_id")),
    Column("challenger", identifier(), ForeignKey("ism_model_version.version_id")),
    Column("mode", Text, nullable=False),
    Column("share", Double, nullable=False),
    one_of("mode", MODES),
    between("share", UNIT),
)

model_ledger = Table(
    "ism_model_ledger",
    metadata,
    Column("model_name", identifier(), primary_key=True),
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("from_version", identifier()),
    Column("to_version", identifier()),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

gate_look = Table(
    "ism_gate_look",
    metadata,
    Column("model_name", identifier(), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("job_id", identifier(), nullable=False),
    Column("verdict", Text, nullable=False),
    Column("level", Double, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("report", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    one_of("verdict", VERDICTS),
    Index(None, "job_id"),
)
