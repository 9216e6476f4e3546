"""Table of the configuration: every version of it."""

from typing import get_args

from sqlalchemy import JSON, CheckConstraint, Column, Integer, Table, Text

from ism.domain.production import ConfigAction
from ism.storage.schema import UtcDateTime, filled, metadata, one_of

CONFIG_ACTIONS: tuple[str, ...] = get_args(ConfigAction)

config_version = Table(
    "ism_config_version",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("changes", JSON, nullable=False),
    Column("overrides", JSON, nullable=False),
    Column("undoes", Integer),
    CheckConstraint("number >= 1", name="number_positive"),
    filled("actor"),
    one_of("action", CONFIG_ACTIONS),
)
