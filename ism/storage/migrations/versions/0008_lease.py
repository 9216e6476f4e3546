"""Leases: which process does what only one may do."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ism_lease",
        sa.Column("name", _ID, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("fence >= 0", name="ck_ism_lease_fence_not_negative"),
        sa.CheckConstraint("name <> ''", name="ck_ism_lease_name_filled"),
        sa.PrimaryKeyConstraint("name", name="pk_ism_lease"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("ism_lease")
