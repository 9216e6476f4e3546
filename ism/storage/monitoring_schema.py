"""Tables of monitoring: measurements at three resolutions, and alerts."""

from typing import get_args

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, Index, Integer, Table, Text, UniqueConstraint

from ism.domain.monitoring import AlertState, Severity
from ism.storage.schema import UtcDateTime, filled, identifier, metadata, one_of

ALERT_STATES: tuple[str, ...] = get_args(AlertState)
SEVERITIES: tuple[str, ...] = get_args(Severity)

metric = Table(
    "ism_metric",
    metadata,
    Column("name", identifier(), primary_key=True),
    Column("resolution_s", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("total", Double, nullable=False),
    Column("least", Double, nullable=False),
    Column("most", Double, nullable=False),
    filled("name"),
    CheckConstraint("count >= 1", name="count_positive"),
    Index(None, "resolution_s", "at"),
)

alert = Table(
    "ism_alert",
    metadata,
    Column("alert_id", identifier(), primary_key=True),
    Column("rule", identifier(), nullable=False),
    Column("cause", identifier(), nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", Text),
    Column("resolved_at", UtcDateTime),
    Column("silenced_until", UtcDateTime),
    Column("inhibited_by", identifier()),
    Column("told", Text),
    Column("open_cause", identifier()),  # the cause until it is resolved, then NULL: one open alert per cause
    filled("alert_id"),
    one_of("severity", SEVERITIES),
    one_of("state", ALERT_STATES),
    UniqueConstraint("open_cause"),
    Index(None, "opened_at"),
)
