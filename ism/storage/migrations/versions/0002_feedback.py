"""Feedback: the log of events, dead letters, labels, trust, quarantine, triggers and retraining requests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point
_TIME = sa.DateTime(timezone=True)
_ROWID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, start the log at 0, and let a logged request be found by its listing."""
    _log()
    _conclusions()
    _triggers()
    op.execute("INSERT INTO ism_counter (name, value) VALUES ('feedback', 0), ('label', 0)")
    op.add_column("ism_request", sa.Column("offer_id", _ID))
    op.create_index("ix_ism_request_offer_id_created_at", "ism_request", ["offer_id", "created_at"])
    named = "offer ->> 'offer_id'" if op.get_bind().dialect.name == "postgresql" else "json_extract(offer, '$.offer_id')"
    op.execute(f"UPDATE ism_request SET offer_id = {named} WHERE {named} IS NOT NULL")


def _log() -> None:
    op.create_table(
        "ism_feedback",
        sa.Column("sequence", _ROWID, nullable=False, autoincrement=False),
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("idempotency_key", _ID),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("event_time", _TIME, nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.Column("recommendation_id", _ID),
        sa.Column("actor_id", _ID),
        sa.Column("model_name", _ID),
        sa.CheckConstraint("event_id <> ''", name="ck_ism_feedback_event_id_filled"),
        sa.CheckConstraint(
            "event_type = 'user_feedback' OR event_type = 'match_outcome' OR event_type = 'system_metric' "
            "OR event_type = 'error'",
            name="ck_ism_feedback_event_type_known",
        ),
        sa.CheckConstraint(
            "source = 'user' OR source = 'system' OR source = 'external'", name="ck_ism_feedback_source_known"
        ),
        sa.CheckConstraint("priority BETWEEN 1 AND 5", name="ck_ism_feedback_priority_range"),
        sa.PrimaryKeyConstraint("sequence", name="pk_ism_feedback"),
    )
    has_key, is_joined = sa.text("idempotency_key IS NOT NULL"), sa.text("recommendation_id IS NOT NULL")
    op.create_index("ix_ism_feedback_event_id", "ism_feedback", ["event_id"], unique=True)
    op.create_index(
        "ix_ism_feedback_idempotency_key",
        "ism_feedback",
        ["idempotency_key"],
        unique=True,
        sqlite_where=has_key,
        postgresql_where=has_key,
    )
    op.create_index(
        "ix_ism_feedback_recommendation_id",
        "ism_feedback",
        ["recommendation_id"],
        sqlite_where=is_joined,
        postgresql_where=is_joined,
    )
    op.create_table(
        "ism_feedback_cursor",
        sa.Column("consumer", _ID, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("consumer <> ''", name="ck_ism_feedback_cursor_consumer_filled"),
        sa.PrimaryKeyConstraint("consumer", name="pk_ism_feedback_cursor"),
    )
    op.create_table(
        "ism_dead_letter",
        sa.Column("letter_id", _ID, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_bytes", sa.BigInteger(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", _ID),
        sa.Column("event_id", _ID),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("decided_at", _TIME),
        sa.CheckConstraint("state IN ('open', 'replayed', 'discarded')", name="ck_ism_dead_letter_state_known"),
        sa.CheckConstraint("attempts >= 1", name="ck_ism_dead_letter_attempts_positive"),
        sa.PrimaryKeyConstraint("letter_id", name="pk_ism_dead_letter"),
    )
    op.create_index("ix_ism_dead_letter_state_letter_id", "ism_dead_letter", ["state", "letter_id"])


def _conclusions() -> None:
    op.create_table(
        "ism_label",
        sa.Column("version", _ROWID, nullable=False, autoincrement=False),
        sa.Column("recommendation_id", _ID, nullable=False),
        sa.Column("as_of", _TIME, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("shown_at", _TIME, nullable=False),
        sa.Column("matured_at", _TIME),
        sa.Column("actor_id", _ID),
        sa.Column("company_id", _ID),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.CheckConstraint("state IN ('censored', 'matured')", name="ck_ism_label_state_known"),
        sa.CheckConstraint("value >= 0.0 AND value <= 1.0", name="ck_ism_label_value_range"),
        sa.CheckConstraint("weight >= 0.0 AND weight <= 1.0", name="ck_ism_label_weight_range"),
        sa.CheckConstraint("(state = 'matured') = (value IS NOT NULL)", name="ck_ism_label_matured_has_value"),
        sa.PrimaryKeyConstraint("version", name="pk_ism_label"),
    )
    op.create_index("ix_ism_label_recommendation_id_version", "ism_label", ["recommendation_id", "version"])
    op.create_index("ix_ism_label_state_shown_at", "ism_label", ["state", "shown_at"])
    op.create_table(
        "ism_statement",
        sa.Column("sequence", _ROWID, nullable=False, autoincrement=False),
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("recommendation_id", _ID),
        sa.Column("subject", _ID),
        sa.Column("actor_id", _ID, nullable=False),
        sa.Column("company_id", _ID, nullable=False),
        sa.Column("model_name", _ID),
        sa.Column("rating", sa.Double()),
        sa.Column("outcome", sa.Text()),
        sa.Column("value", sa.Double()),
        sa.Column("strength", sa.Double(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("text_digest", sa.Text()),
        sa.Column("sentiment", sa.Text()),
        sa.Column("topic", sa.Text()),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.CheckConstraint("priority BETWEEN 1 AND 5", name="ck_ism_statement_priority_range"),
        sa.CheckConstraint("value >= 0.0 AND value <= 1.0", name="ck_ism_statement_value_range"),
        sa.CheckConstraint("strength >= 0.0 AND strength <= 1.0", name="ck_ism_statement_strength_range"),
        sa.PrimaryKeyConstraint("sequence", name="pk_ism_statement"),
    )
    op.create_index("ix_ism_statement_event_id", "ism_statement", ["event_id"], unique=True)
    op.create_index("ix_ism_statement_recommendation_id", "ism_statement", ["recommendation_id"])
    op.create_index("ix_ism_statement_actor_id_recorded_at", "ism_statement", ["actor_id", "recorded_at"])
    op.create_index("ix_ism_statement_text_digest_recorded_at", "ism_statement", ["text_digest", "recorded_at"])
    op.create_index("ix_ism_statement_model_name_sequence", "ism_statement", ["model_name", "sequence"])
    op.create_table(
        "ism_actor",
        sa.Column("actor_id", _ID, nullable=False),
        sa.Column("company_id", _ID),
        sa.Column("trust", sa.Double(), nullable=False),
        sa.Column("statements", sa.Integer(), nullable=False),
        sa.Column("bloc", _ID, nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("override_trust", sa.Double()),
        sa.Column("override_reason", sa.Text()),
        sa.Column("override_by", sa.Text()),
        sa.Column("override_at", _TIME),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("actor_id <> ''", name="ck_ism_actor_actor_id_filled"),
        sa.CheckConstraint("trust >= 0.0 AND trust <= 1.0", name="ck_ism_actor_trust_range"),
        sa.CheckConstraint(
            "override_trust >= 0.0 AND override_trust <= 1.0", name="ck_ism_actor_override_trust_range"
        ),
        sa.PrimaryKeyConstraint("actor_id", name="pk_ism_actor"),
    )
    op.create_index("ix_ism_actor_company_id", "ism_actor", ["company_id"])
    op.create_table(
        "ism_quarantine",
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("actor_id", _ID),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("decided_by", sa.Text()),
        sa.Column("decided_reason", sa.Text()),
        sa.Column("decided_at", _TIME),
        sa.CheckConstraint("cause <> ''", name="ck_ism_quarantine_cause_filled"),
        sa.CheckConstraint("state IN ('held', 'released', 'confirmed')", name="ck_ism_quarantine_state_known"),
        sa.PrimaryKeyConstraint("event_id", name="pk_ism_quarantine"),
    )
    op.create_index("ix_ism_quarantine_state_event_id", "ism_quarantine", ["state", "event_id"])


def _triggers() -> None:
    types = "trigger_type IN ('schedule', 'feedback', 'performance', 'manual')"
    op.create_table(
        "ism_trigger",
        sa.Column("trigger_id", _ID, nullable=False),
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("trigger_type", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("request_id", _ID),
        sa.Column("decided_at", _TIME, nullable=False),
        sa.CheckConstraint("trigger_id <> ''", name="ck_ism_trigger_trigger_id_filled"),
        sa.CheckConstraint(types, name="ck_ism_trigger_trigger_type_known"),
        sa.CheckConstraint(
            "cause IN ('volume', 'negative_share', 'trend', 'live_quality', 'schedule', 'manual')",
            name="ck_ism_trigger_cause_known",
        ),
        sa.CheckConstraint(
            "decision IN ('fired', 'deferred', 'coalesced', 'refused')", name="ck_ism_trigger_decision_known"
        ),
        sa.PrimaryKeyConstraint("trigger_id", name="pk_ism_trigger"),
    )
    op.create_index("ix_ism_trigger_model_name_decided_at", "ism_trigger", ["model_name", "decided_at"])
    op.create_index("ix_ism_trigger_fingerprint", "ism_trigger", ["fingerprint"])
    op.create_table(
        "ism_retraining_request",
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("model_name", _ID, nullable=False),
        sa.Column("trigger_type", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("trigger_id", _ID, nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("delivered_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.CheckConstraint("request_id <> ''", name="ck_ism_retraining_request_request_id_filled"),
        sa.CheckConstraint(types, name="ck_ism_retraining_request_trigger_type_known"),
        sa.CheckConstraint(
            "state IN ('open', 'delivered', 'finished', 'cancelled')", name="ck_ism_retraining_request_state_known"
        ),
        sa.PrimaryKeyConstraint("request_id", name="pk_ism_retraining_request"),
    )
    op.create_index("ix_ism_retraining_request_state_created_at", "ism_retraining_request", ["state", "created_at"])


def downgrade() -> None:
    """Drop what `upgrade` made."""
    for table in (
        "ism_retraining_request",
        "ism_trigger",
        "ism_quarantine",
        "ism_actor",
        "ism_statement",
        "ism_label",
        "ism_dead_letter",
        "ism_feedback_cursor",
        "ism_feedback",
    ):
        op.drop_table(table)
    op.execute("DELETE FROM ism_counter WHERE name IN ('feedback', 'label')")
    op.drop_index("ix_ism_request_offer_id_created_at", "ism_request")
    op.drop_column("ism_request", "offer_id")
