"""The market, what was shown, API keys and settings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code point
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make all tables, and start the market's generation at 0."""
    op.create_table(
        "ism_api_key",
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.CheckConstraint("key_hash <> ''", name="ck_ism_api_key_key_hash_filled"),
        sa.CheckConstraint("key_id <> ''", name="ck_ism_api_key_key_id_filled"),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin', 'service')", name="ck_ism_api_key_role_known"),
        sa.PrimaryKeyConstraint("key_id", name="pk_ism_api_key"),
    )
    op.create_table(
        "ism_company",
        sa.Column("company_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("nace", sa.Text()),
        sa.Column("country", sa.Text()),
        sa.Column("latitude", sa.Double()),
        sa.Column("longitude", sa.Double()),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("dataset", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("company_id <> ''", name="ck_ism_company_company_id_filled"),
        sa.CheckConstraint("name <> ''", name="ck_ism_company_name_filled"),
        sa.CheckConstraint("latitude >= -90.0 AND latitude <= 90.0", name="ck_ism_company_latitude_range"),
        sa.CheckConstraint("longitude >= -180.0 AND longitude <= 180.0", name="ck_ism_company_longitude_range"),
        sa.PrimaryKeyConstraint("company_id", name="pk_ism_company"),
    )
    op.create_index("ix_ism_company_dataset", "ism_company", ["dataset"])
    op.create_table(
        "ism_counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ism_counter"),
    )
    op.create_table(
        "ism_request",
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("offer", sa.JSON(), nullable=False),
        sa.Column("model_versions", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint("request_id <> ''", name="ck_ism_request_request_id_filled"),
        sa.PrimaryKeyConstraint("request_id", name="pk_ism_request"),
    )
    op.create_index("ix_ism_request_created_at", "ism_request", ["created_at"])
    op.create_table(
        "ism_setting",
        sa.Column("key", _ID, nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("key <> ''", name="ck_ism_setting_key_filled"),
        sa.PrimaryKeyConstraint("key", name="pk_ism_setting"),
    )
    op.create_table(
        "ism_exchange",
        sa.Column("exchange_id", _ID, nullable=False),
        sa.Column("from_company", _ID, nullable=False),
        sa.Column("to_company", _ID, nullable=False),
        sa.Column("material", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ewc", sa.Text()),
        sa.Column("quantity_t_per_year", sa.Double()),
        sa.Column("year_start", sa.Integer()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("receiver_use", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("checked_against", sa.Text(), nullable=False),
        sa.Column("dataset", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("exchange_id <> ''", name="ck_ism_exchange_exchange_id_filled"),
        sa.CheckConstraint("material <> ''", name="ck_ism_exchange_material_filled"),
        sa.CheckConstraint(
            "status IN ('operating', 'discontinued', 'planned', 'unknown')", name="ck_ism_exchange_status_known"
        ),
        sa.CheckConstraint(
            "quantity_t_per_year >= 0.0 AND quantity_t_per_year <= 1000000000000.0",
            name="ck_ism_exchange_quantity_t_per_year_range",
        ),
        sa.CheckConstraint("year_start >= 1500 AND year_start <= 2200", name="ck_ism_exchange_year_start_range"),
        sa.ForeignKeyConstraint(["from_company"], ["ism_company.company_id"], name="fk_ism_exchange_from_company"),
        sa.ForeignKeyConstraint(["to_company"], ["ism_company.company_id"], name="fk_ism_exchange_to_company"),
        sa.PrimaryKeyConstraint("exchange_id", name="pk_ism_exchange"),
    )
    op.create_index("ix_ism_exchange_dataset", "ism_exchange", ["dataset"])
    op.create_index("ix_ism_exchange_from_company", "ism_exchange", ["from_company"])
    op.create_index("ix_ism_exchange_to_company", "ism_exchange", ["to_company"])
    op.create_table(
        "ism_listing",
        sa.Column("listing_id", _ID, nullable=False),
        sa.Column("company_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("material", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ewc", sa.Text()),
        sa.Column("quantity_t_per_year", sa.Double()),
        sa.Column("price_eur_per_t", sa.Double()),
        sa.Column("hazardous", sa.Boolean()),
        sa.Column("valid_from", sa.Date()),
        sa.Column("valid_until", sa.Date()),
        sa.Column("dataset", _ID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("kind IN ('offer', 'need')", name="ck_ism_listing_kind_known"),
        sa.CheckConstraint("listing_id <> ''", name="ck_ism_listing_listing_id_filled"),
        sa.CheckConstraint("material <> ''", name="ck_ism_listing_material_filled"),
        sa.CheckConstraint(
            "price_eur_per_t >= -1000000000.0 AND price_eur_per_t <= 1000000000.0",
            name="ck_ism_listing_price_eur_per_t_range",
        ),
        sa.CheckConstraint(
            "quantity_t_per_year >= 0.0 AND quantity_t_per_year <= 1000000000000.0",
            name="ck_ism_listing_quantity_t_per_year_range",
        ),
        sa.CheckConstraint("valid_from <= valid_until", name="ck_ism_listing_valid_order"),
        sa.ForeignKeyConstraint(
            ["company_id"], ["ism_company.company_id"], name="fk_ism_listing_company_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("listing_id", name="pk_ism_listing"),
    )
    op.create_index("ix_ism_listing_company_id_listing_id", "ism_listing", ["company_id", "listing_id"])
    op.create_index("ix_ism_listing_dataset", "ism_listing", ["dataset"])
    op.create_table(
        "ism_recommendation",
        sa.Column("recommendation_id", _ID, nullable=False),
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("receiver_kind", sa.Text(), nullable=False),
        sa.Column("receiver_id", _ID, nullable=False),
        sa.Column("final_score", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=False),
        sa.Column("engine_scores", sa.JSON(), nullable=False),
        sa.CheckConstraint("receiver_kind IN ('company', 'sector')", name="ck_ism_recommendation_receiver_kind_known"),
        sa.CheckConstraint("recommendation_id <> ''", name="ck_ism_recommendation_recommendation_id_filled"),
        sa.CheckConstraint("confidence >= 0.0 AND confidence <= 1.0", name="ck_ism_recommendation_confidence_range"),
        sa.CheckConstraint("final_score >= 0.0 AND final_score <= 1.0", name="ck_ism_recommendation_final_score_range"),
        sa.CheckConstraint("propensity >= 0.0 AND propensity <= 1.0", name="ck_ism_recommendation_propensity_range"),
        sa.CheckConstraint("rank >= 1", name="ck_ism_recommendation_rank_positive"),
        sa.ForeignKeyConstraint(["request_id"], ["ism_request.request_id"], name="fk_ism_recommendation_request_id"),
        sa.PrimaryKeyConstraint("recommendation_id", name="pk_ism_recommendation"),
        sa.UniqueConstraint("request_id", "rank", name="uq_ism_recommendation_request_id_rank"),
    )
    op.create_index("ix_ism_recommendation_receiver_id", "ism_recommendation", ["receiver_id"])
    op.execute("INSERT INTO ism_counter (name, value) VALUES ('market', 0)")


def downgrade() -> None:
    """Drop all tables, those first that refer to others."""
    for table in (
        "ism_recommendation",
        "ism_request",
        "ism_exchange",
        "ism_listing",
        "ism_company",
        "ism_api_key",
        "ism_setting",
        "ism_counter",
    ):
        op.drop_table(table)
