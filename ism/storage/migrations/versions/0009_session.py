"""Sessions of the web page."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ism_session",
        sa.Column("digest", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("key_id", _ID, nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("digest <> ''", name="ck_ism_session_digest_filled"),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin', 'service')", name="ck_ism_session_role_known"),
        sa.PrimaryKeyConstraint("digest", name="pk_ism_session"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("ism_session")
