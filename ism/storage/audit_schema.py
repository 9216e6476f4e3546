"""The audit log's table."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Table, Text

from ism.storage.schema import UtcDateTime, filled, identifier, metadata

audit = Table(
    "ism_audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", identifier(), nullable=False),
    Column("target", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous", Text, nullable=False),
    Column("digest", Text, nullable=False),
    filled("action"),
    CheckConstraint("number >= 1", name="number_positive"),
)
