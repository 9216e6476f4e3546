"""The audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ism_audit",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", _ID, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.CheckConstraint("action <> ''", name="ck_ism_audit_action_filled"),
        sa.CheckConstraint("number >= 1", name="ck_ism_audit_number_positive"),
        sa.PrimaryKeyConstraint("number", name="pk_ism_audit"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("ism_audit")
