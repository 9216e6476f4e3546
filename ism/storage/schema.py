"""The tables, once, for SQLite and PostgreSQL.

Names start with ``ism_`` because the database may be shared: with a marketplace's own ``companies``, with Optuna,
MLflow or Prefect. Limits stand here as numbers, so that the checks in Python (`ism.storage.rows`) and in the database
are the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from ism.domain.market import ExchangeStatus, ListingKind, ReceiverKind
from ism.storage.base import ROLES

MAX_IDENTIFIER = 200  # characters; an index entry of PostgreSQL holds some 2,700 bytes
QUANTITY = (0.0, 1e12)  # tonnes a year; ten times what mankind extracts
PRICE = (-1e9, 1e9)  # euros a tonne; negative where the offering company pays
LATITUDE = (-90.0, 90.0)
LONGITUDE = (-180.0, 180.0)
YEAR = (1500, 2200)
UNIT = (0.0, 1.0)
LISTING_KINDS: tuple[str, ...] = get_args(ListingKind)
EXCHANGE_STATUSES: tuple[str, ...] = get_args(ExchangeStatus)
RECEIVER_KINDS: tuple[str, ...] = get_args(ReceiverKind)
MARKET_COUNTER = "market"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC; SQLite keeps no zone, so it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value!r} has no zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand out UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def identifier() -> Text:
    """Type of a column that is ordered by code point: PostgreSQL's own order depends on how the server was set up."""
    return Text().with_variant(Text(collation="C"), "postgresql")


def between(column: str, limits: tuple[float, float]) -> CheckConstraint:
    """A range check; it also keeps out NaN, which PostgreSQL orders above every number."""
    low, high = limits
    return CheckConstraint(f"{column} >= {low!r} AND {column} <= {high!r}", name=f"{column}_range")


def one_of(column: str, choices: tuple[str, ...]) -> CheckConstraint:
    """A check that a text is one of a few."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(choice) for choice in choices)})", name=f"{column}_known")


def filled(column: str) -> CheckConstraint:
    """A check that a text is not empty."""
    return CheckConstraint(f"{column} <> ''", name=f"{column}_filled")


def _provenance() -> list[Column[Any]]:
    """Columns that every market row has beside its own: the set it came with, and when it was written."""
    return [
        Column("dataset", identifier(), nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
    ]


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

company = Table(
    "ism_company",
    metadata,
    Column("company_id", identifier(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("nace", Text),
    Column("country", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("description", Text, nullable=False),
    Column("source", Text, nullable=False),
    *_provenance(),
    filled("company_id"),
    filled("name"),
    between("latitude", LATITUDE),
    between("longitude", LONGITUDE),
    Index(None, "dataset"),
)

listing = Table(
    "ism_listing",
    metadata,
    Column("listing_id", identifier(), primary_key=True),
    Column("company_id", identifier(), ForeignKey("ism_company.company_id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("material", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("ewc", Text),
    Column("quantity_t_per_year", Double),
    Column("price_eur_per_t", Double),
    Column("hazardous", Boolean),
    Column("valid_from", Date),
    Column("valid_until", Date),
    *_provenance(),
    filled("listing_id"),
    filled("material"),
    one_of("kind", LISTING_KINDS),
    between("quantity_t_per_year", QUANTITY),
    between("price_eur_per_t", PRICE),
    CheckConstraint("valid_from <= valid_until", name="valid_order"),
    Index(None, "company_id", "listing_id"),
    Index(None, "dataset"),
)

exchange = Table(
    "ism_exchange",
    metadata,
    Column("exchange_id", identifier(), primary_key=True),
    Column("from_company", identifier(), ForeignKey("ism_company.company_id"), nullable=False),
    Column("to_company", identifier(), ForeignKey("ism_company.company_id"), nullable=False),
    Column("material", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("ewc", Text),
    Column("quantity_t_per_year", Double),
    Column("year_start", Integer),
    Column("status", Text, nullable=False),
    Column("receiver_use", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("checked_against", Text, nullable=False),
    *_provenance(),
    filled("exchange_id"),
    filled("material"),
    one_of("status", EXCHANGE_STATUSES),
    between("quantity_t_per_year", QUANTITY),
    between("year_start", YEAR),
    Index(None, "from_company"),
    Index(None, "to_company"),
    Index(None, "dataset"),
)

request = Table(
    "ism_request",
    metadata,
    Column("request_id", identifier(), primary_key=True),
    Column("offer", JSON, nullable=False),
    Column("model_versions", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("offer_id", identifier()),  # the listing that `offer` came from: late feedback may name it
    filled("request_id"),
    Index(None, "created_at"),
    Index(None, "offer_id", "created_at"),
)

recommendation = Table(
    "ism_recommendation",
    metadata,
    Column("recommendation_id", identifier(), primary_key=True),
    Column("request_id", identifier(), ForeignKey("ism_request.request_id"), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("receiver_kind", Text, nullable=False),
    Column("receiver_id", identifier(), nullable=False),
    Column("final_score", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("propensity", Double, nullable=False),
    Column("engine_scores", JSON, nullable=False),
    filled("recommendation_id"),
    CheckConstraint("rank >= 1", name="rank_positive"),
    one_of("receiver_kind", RECEIVER_KINDS),
    between("final_score", UNIT),
    between("confidence", UNIT),
    between("propensity", UNIT),
    UniqueConstraint("request_id", "rank"),
    Index(None, "receiver_id"),
)

api_key = Table(
    "ism_api_key",
    metadata,
    Column("key_id", identifier(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    filled("key_id"),
    filled("key_hash"),
    one_of("role", ROLES),
)

setting = Table(
    "ism_setting",
    metadata,
    Column("key", identifier(), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    filled("key"),
)

counter = Table(
    "ism_counter",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Tables of single parts of the system; imported last, since they are made of what stands above.
from ism.storage import (  # noqa: E402 - each registers its tables with the metadata
    audit_schema,  # noqa: F401
    config_schema,  # noqa: F401
    fusion_schema,  # noqa: F401
    lease_schema,  # noqa: F401
    monitoring_schema,  # noqa: F401
    retraining_schema,  # noqa: F401
    session_schema,  # noqa: F401
)
