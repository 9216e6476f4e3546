"""Measurements at three resolutions, and alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ism_metric",
        sa.Column("name", _ID, nullable=False),
        sa.Column("resolution_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("least", sa.Double(), nullable=False),
        sa.Column("most", sa.Double(), nullable=False),
        sa.CheckConstraint("name <> ''", name="ck_ism_metric_name_filled"),
        sa.CheckConstraint("count >= 1", name="ck_ism_metric_count_positive"),
        sa.PrimaryKeyConstraint("name", "resolution_s", "at", name="pk_ism_metric"),
    )
    op.create_index("ix_ism_metric_resolution_s_at", "ism_metric", ["resolution_s", "at"])
    op.create_table(
        "ism_alert",
        sa.Column("alert_id", _ID, nullable=False),
        sa.Column("rule", _ID, nullable=False),
        sa.Column("cause", _ID, nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("acknowledged_at", _TIME),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("resolved_at", _TIME),
        sa.Column("silenced_until", _TIME),
        sa.Column("inhibited_by", _ID),
        sa.Column("told", sa.Text()),
        sa.Column("open_cause", _ID),
        sa.CheckConstraint("alert_id <> ''", name="ck_ism_alert_alert_id_filled"),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name="ck_ism_alert_severity_known"),
        sa.CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name="ck_ism_alert_state_known"),
        sa.PrimaryKeyConstraint("alert_id", name="pk_ism_alert"),
        sa.UniqueConstraint("open_cause", name="uq_ism_alert_open_cause"),
    )
    op.create_index("ix_ism_alert_opened_at", "ism_alert", ["opened_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("ism_alert")
    op.drop_table("ism_metric")
