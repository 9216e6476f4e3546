"""Table of leases: one row for each thing that only one process may do at a time."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Table, Text

from ism.storage.schema import UtcDateTime, filled, identifier, metadata

lease = Table(
    "ism_lease",
    metadata,
    Column("name", identifier(), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    CheckConstraint("fence >= 0", name="fence_not_negative"),
    filled("name"),
)
