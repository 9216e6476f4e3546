"""Versions of the production configuration."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ism_config_version",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("undoes", sa.Integer()),
        sa.CheckConstraint("number >= 1", name="ck_ism_config_version_number_positive"),
        sa.CheckConstraint("actor <> ''", name="ck_ism_config_version_actor_filled"),
        sa.CheckConstraint("action IN ('update', 'undo')", name="ck_ism_config_version_action_known"),
        sa.PrimaryKeyConstraint("number", name="pk_ism_config_version"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("ism_config_version")
