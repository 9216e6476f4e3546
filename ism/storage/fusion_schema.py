"""Tables of the fusion: its models, which one answers, every switch, and what matured outcomes taught."""

from sqlalchemy import JSON, CheckConstraint, Column, Double, ForeignKeyConstraint, Index, Integer, Table, Text

from ism.storage.schema import UNIT, UtcDateTime, between, filled, identifier, metadata, one_of

FUSION_COUNTER = "fusion"
ACTIVE = "active"
MODEL_TYPES = ("weighted_sum", "ml_model", "ensemble")

fusion_model = Table(
    "ism_fusion_model",
    metadata,
    Column("model_id", identifier(), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("model_type", Text, nullable=False),
    Column("weights", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("performance_metrics", JSON, nullable=False),
    Column("last_updated", UtcDateTime, nullable=False),
    filled("model_id"),
    one_of("model_type", MODEL_TYPES),
    CheckConstraint("version >= 1", name="version_positive"),
)

fusion_active = Table(
    "ism_fusion_active",
    metadata,
    Column("name", identifier(), primary_key=True),
    Column("model_id", identifier(), nullable=False),
    Column("version", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    ForeignKeyConstraint(["model_id", "version"], ["ism_fusion_model.model_id", "ism_fusion_model.version"]),
)

fusion_switch = Table(
    "ism_fusion_switch",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("model_id", identifier(), nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous_id", identifier(), nullable=False),
    Column("previous_version", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reverts", Integer),
    Column("switched_at", UtcDateTime, nullable=False),
    filled("actor"),
)

fusion_step = Table(
    "ism_fusion_step",
    metadata,
    Column("recommendation_id", identifier(), primary_key=True),
    Column("matured_at", UtcDateTime, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("label", Double, nullable=False),
    Column("weight", Double, nullable=False),
    Column("weights", JSON, nullable=False),
    Column("loss", Double, nullable=False),
    filled("recommendation_id"),
    between("label", UNIT),
    between("weight", UNIT),
    Index(None, "matured_at", "recommendation_id"),
)
