"""Retraining jobs with their moves, model versions, what serves and its ledger, and the looks of the gate."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point
_TIME = sa.DateTime(timezone=True)
_STATES = (
    "('REQUESTED', 'COALESCED', 'DEFERRED', 'SNAPSHOTTED', 'VALIDATED', 'TUNING', 'TRAINED', 'EVALUATED', 'REJECTED', "
    "'GATE_PASSED', 'STAGED', 'SHADOW', 'CANARY', 'PROMOTED', 'BAKED', 'FAILED', 'ROLLED_BACK')"
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ism_retraining_job",
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("trigger_type", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("completed_at", _TIME),
        sa.Column("error_message", sa.Text()),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("not_before", _TIME),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", _TIME),
        sa.CheckConstraint("job_id <> ''", name="ck_ism_retraining_job_job_id_filled"),
        sa.CheckConstraint(f"state IN {_STATES}", name="ck_ism_retraining_job_state_known"),
        sa.CheckConstraint("trigger_type IN ('schedule', 'feedback', 'performance', 'manual')", name="ck_ism_retraining_job_trigger_type_known"),
        sa.PrimaryKeyConstraint("job_id", name="pk_ism_retraining_job"),
    )
    op.create_index("ix_ism_retraining_job_created_at", "ism_retraining_job", ["created_at"])
    op.create_index("ix_ism_retraining_job_model_name_state", "ism_retraining_job", ["model_name", "state"])
    op.create_table(
        "ism_retraining_move",
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_state", sa.Text()),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.CheckConstraint(f"to_state IN {_STATES}", name="ck_ism_retraining_move_to_state_known"),
        sa.ForeignKeyConstraint(["job_id"], ["ism_retraining_job.job_id"], name="fk_ism_retraining_move_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_ism_retraining_move"),
    )
    op.create_table(
        "ism_model_version",
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("parent", _ID),
        sa.Column("job_id", _ID),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("retired_at", _TIME),
        sa.CheckConstraint("artifact <> ''", name="ck_ism_model_version_artifact_filled"),
        sa.CheckConstraint("gate IN ('PASS', 'HOLD', 'REJECT')", name="ck_ism_model_version_gate_known"),
        sa.CheckConstraint("number >= 1", name="ck_ism_model_version_number_positive"),
        sa.CheckConstraint("version_id <> ''", name="ck_ism_model_version_version_id_filled"),
        sa.PrimaryKeyConstraint("version_id", name="pk_ism_model_version"),
        sa.UniqueConstraint("model_name", "number", name="uq_ism_model_version_model_name_number"),
    )
    op.create_table(
        "ism_model_pointer",
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("champion", _ID),
        sa.Column("previous", _ID),
        sa.Column("challenger", _ID),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.CheckConstraint("mode IN ('none', 'shadow', 'canary')", name="ck_ism_model_pointer_mode_known"),
        sa.CheckConstraint("share >= 0.0 AND share <= 1.0", name="ck_ism_model_pointer_share_range"),
        sa.ForeignKeyConstraint(["previous"], ["ism_model_version.version_id"], name="fk_ism_model_pointer_previous"),
        sa.ForeignKeyConstraint(["challenger"], ["ism_model_version.version_id"], name="fk_ism_model_pointer_challenger"),
        sa.ForeignKeyConstraint(["champion"], ["ism_model_version.version_id"], name="fk_ism_model_pointer_champion"),
        sa.PrimaryKeyConstraint("model_name", name="pk_ism_model_pointer"),
    )
    op.create_table(
        "ism_model_ledger",
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("from_version", _ID),
        sa.Column("to_version", _ID),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("model_name", "generation", name="pk_ism_model_ledger"),
    )
    op.create_table(
        "ism_gate_look",
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job_id", _ID, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.CheckConstraint("verdict IN ('PASS', 'HOLD', 'REJECT')", name="ck_ism_gate_look_verdict_known"),
        sa.PrimaryKeyConstraint("model_name", "number", name="pk_ism_gate_look"),
    )
    op.create_index("ix_ism_gate_look_job_id", "ism_gate_look", ["job_id"])


def downgrade() -> None:
    """Drop the tables, those first that refer to others."""
    for table in (
        "ism_gate_look",
        "ism_model_ledger",
        "ism_model_pointer",
        "ism_model_version",
        "ism_retraining_move",
        "ism_retraining_job",
    ):
        op.drop_table(table)
