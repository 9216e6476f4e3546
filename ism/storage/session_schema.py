"""Table of the web page's sessions, by the SHA-256 of their cookie."""

from sqlalchemy import Column, Table, Text

from ism.storage.base import ROLES
from ism.storage.schema import UtcDateTime, filled, identifier, metadata, one_of

session = Table(
    "ism_session",
    metadata,
    Column("digest", identifier(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("key_id", identifier()),
    Column("began_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    filled("digest"),
    one_of("role", ROLES),
)
