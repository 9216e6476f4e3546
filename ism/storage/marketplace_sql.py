"""What the connector of a marketplace asks of the database."""
# ruff: noqa: D102 - the contract, `MarketplaceStore`, documents every method

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, and_, delete, exists, or_, select

from ism.domain.errors import ConflictError
from ism.domain.market import Recommendation
from ism.storage import log_sql, market_sql, schema
from ism.storage.base import T
from ism.storage.database import Database
from ism.storage.marketplace_base import MarketplaceStore, Place
from ism.storage.rows import COMPANY, spec_of

_STATE = "marketplace.state"
_MOST_PARAMETERS = 1_000


class SqlMarketplaceStore(MarketplaceStore):
    """Keeps what `MarketplaceStore` promises.

    Args:
        database: whose schema is up to date.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, kind: type[T], identifiers: Collection[str], dataset: str) -> dict[str, T]:
        spec, found = spec_of(kind), {}
        with self._database.read() as connection:
            for some in _parts(identifiers):
                query = select(*spec.columns).where(spec.key.in_(some), spec.table.c.dataset == dataset)
                for row in connection.execute(query):
                    value = spec.value(row)
                    found[str(getattr(value, spec.key.name))] = value
        return found

    def discard(self, kind: type[T], identifiers: Collection[str], dataset: str) -> int:
        spec, table, removed = spec_of(kind), spec_of(kind).table, 0
        if not self.find(kind, identifiers, dataset):
            return 0  # a write that changes nothing would have every reader load the market again
        with self._database.write() as connection:
            market_sql.begin_market_write(connection)
            for some in _parts(identifiers):
                rows = [spec.key.in_(some), table.c.dataset == dataset]
                if spec is COMPANY:
                    other = schema.exchange.c
                    rows.append(~exists().where(or_(other.from_company == spec.key, other.to_company == spec.key)))
                removed += connection.execute(delete(table).where(*rows)).rowcount
        return removed

    def unanswered(self, dataset: str, since: datetime, after: Place | None = None, limit: int = 100) -> list[Place]:
        listing, request = schema.listing.c, schema.request.c
        answered = exists().where(
            request.offer_id == listing.listing_id,
            request.created_at >= listing.updated_at,
            request.created_at >= since,
        )
        query = (
            select(listing.updated_at, listing.listing_id)
            .where(listing.dataset == dataset, listing.kind == "offer", ~answered)
            .order_by(listing.updated_at, listing.listing_id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(_behind(listing.updated_at, listing.listing_id, after))
        with self._database.read() as connection:
            return [(at, identifier) for at, identifier in connection.execute(query)]

    def shown(self, dataset: str, after: Place, limit: int = 100) -> list[list[Recommendation]]:
        listing, request = schema.listing.c, schema.request.c
        query = (
            select(request.request_id)
            .join_from(schema.request, schema.listing, request.offer_id == listing.listing_id)
            .where(listing.dataset == dataset, _behind(request.created_at, request.request_id, after))
            .order_by(request.created_at, request.request_id)
            .limit(limit)
        )
        with self._database.snapshot() as connection:
            return [log_sql.of_request(connection, each) for each in connection.scalars(query).all()]

    def marketplace_state(self) -> dict[str, Any]:
        with self._database.read() as connection:
            return _state(connection)

    def move_marketplace(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        with self._database.write() as connection:
            # The row lock on the counter makes movers queue up, also before there is a state that could be locked.
            market_sql.queue_up(connection)
            if _state(connection) != before:
                raise ConflictError("Another process exchanges data with the marketplace. Wait until it has ended.")
            log_sql.put_setting(connection, _STATE, after)


def _state(connection: Connection) -> dict[str, Any]:
    return cast("dict[str, Any]", log_sql.one_setting(connection, _STATE, {}))


def _behind(at: Any, identifier: Any, place: Place) -> Any:
    return or_(at > place[0], and_(at == place[0], identifier > place[1]))


def _parts(identifiers: Collection[str]) -> Iterator[list[str]]:
    every = list(identifiers)
    for start in range(0, len(every), _MOST_PARAMETERS):
        yield every[start : start + _MOST_PARAMETERS]
