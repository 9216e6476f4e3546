"""Fusion models, which one answers, every switch of it, and the weights that matured outcomes led to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and start counting changes at 0."""
    op.create_table(
        "ism_fusion_model",
        sa.Column("model_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_type", sa.Text(), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("performance_metrics", sa.JSON(), nullable=False),
        sa.Column("last_updated", _TIME, nullable=False),
        sa.CheckConstraint("model_id <> ''", name="ck_ism_fusion_model_model_id_filled"),
        sa.CheckConstraint(
            "model_type IN ('weighted_sum', 'ml_model', 'ensemble')", name="ck_ism_fusion_model_model_type_known"
        ),
        sa.CheckConstraint("version >= 1", name="ck_ism_fusion_model_version_positive"),
        sa.PrimaryKeyConstraint("model_id", "version", name="pk_ism_fusion_model"),
    )
    op.create_table(
        "ism_fusion_active",
        sa.Column("name", _ID, nullable=False),
        sa.Column("model_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "version"],
            ["ism_fusion_model.model_id", "ism_fusion_model.version"],
            name="fk_ism_fusion_active_model_id",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_ism_fusion_active"),
    )
    op.create_table(
        "ism_fusion_switch",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", _ID, nullable=False),
        sa.Column("previous_version", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reverts", sa.Integer()),
        sa.Column("switched_at", _TIME, nullable=False),
        sa.CheckConstraint("actor <> ''", name="ck_ism_fusion_switch_actor_filled"),
        sa.PrimaryKeyConstraint("number", name="pk_ism_fusion_switch"),
    )
    op.create_table(
        "ism_fusion_step",
        sa.Column("recommendation_id", _ID, nullable=False),
        sa.Column("matured_at", _TIME, nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("label", sa.Double(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=False),
        sa.CheckConstraint("recommendation_id <> ''", name="ck_ism_fusion_step_recommendation_id_filled"),
        sa.CheckConstraint("label >= 0.0 AND label <= 1.0", name="ck_ism_fusion_step_label_range"),
        sa.CheckConstraint("weight >= 0.0 AND weight <= 1.0", name="ck_ism_fusion_step_weight_range"),
        sa.PrimaryKeyConstraint("recommendation_id", name="pk_ism_fusion_step"),
    )
    op.create_index(
        "ix_ism_fusion_step_matured_at_recommendation_id", "ism_fusion_step", ["matured_at", "recommendation_id"]
    )
    op.execute("INSERT INTO ism_counter (name, value) VALUES ('fusion', 0)")


def downgrade() -> None:
    """Drop the tables, that first which refers to another."""
    for table in ("ism_fusion_step", "ism_fusion_switch", "ism_fusion_active", "ism_fusion_model"):
        op.drop_table(table)
    op.execute("DELETE FROM ism_counter WHERE name = 'fusion'")
