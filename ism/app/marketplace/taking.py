"""Makes use of a marketplace's rows: writes what changed into the market, and tells outcomes to feedback."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ism.app.marketplace import outcomes, values
from ism.app.marketplace.mapping import Mapping
from ism.app.marketplace.postgrest import PostgRest, Row
from ism.app.marketplace.reading import fetch, name_of
from ism.domain.errors import ConflictError, InvalidInputError
from ism.domain.market import Company, Exchange, Listing

if TYPE_CHECKING:
    from ism.app.marketplace.outcomes import Attribution
    from ism.app.marketplace.state import Place
    from ism.domain.feedback import IngestResult
    from ism.storage import MarketValue, Store

DATASET = "marketplace"
_log = logging.getLogger("ism.marketplace")


@dataclass(slots=True)
class Taker:
    """Takes rows of each table; the same ones again change nothing.

    Args:
        store: the market.
        client: fetches what rows refer to.
        mapping: of tables and words.
        about: which outcomes can be attributed.
        tell: hands events to feedback; None where feedback is switched off.

    Attributes:
        counts: what was done: ``written``, ``removed``, ``events``.
        notes: what was left out of rows that were used, with how often.
    """

    store: Store
    client: PostgRest
    mapping: Mapping
    about: Attribution
    tell: Callable[[Sequence[dict[str, Any]]], list[IngestResult]] | None
    counts: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def companies(self, rows: list[Row], place: Place) -> None:
        """Rows of companies."""
        found: list[MarketValue] = []
        for row in rows:
            try:
                found.append(values.company(row, self.mapping.companies, self.notes))
            except InvalidInputError as error:
                place.skip(name_of(row), str(error))
        self._write(Company, found, place)

    def materials(self, rows: list[Row], place: Place) -> None:
        """Rows of materials; with their companies, where these came a moment later."""
        found: list[MarketValue] = []
        gone: list[str] = []
        for row in rows:
            try:
                listing = values.listing(row, self.mapping.materials, self.notes)
            except InvalidInputError as error:
                place.skip(name_of(row), str(error))
                gone.append(name_of(row))  # what it said before does not hold any more
                continue
            if listing is None:
                gone.append(name_of(row))
            else:
                found.append(listing)
        self._fetch_companies({each.company_id for each in found if isinstance(each, Listing)})
        self._write(Listing, found, place)
        self._remove(Listing, gone)

    def exchanges(self, rows: list[Row], place: Place) -> None:
        """Rows of exchanges: precedents, and what came of matches."""
        mapping, materials = self.mapping.exchanges, self.mapping.materials
        if mapping is None:
            return
        named = [str(row["material_id"]) for row in rows if row.get("material_id") is not None]
        there = fetch(self.client, materials, named)
        found: list[MarketValue] = []
        gone: list[str] = []
        told: list[dict[str, Any]] = []
        for row in rows:
            material = there.get(str(row.get("material_id")))
            try:
                exchange = values.exchange(row, material, mapping, materials)
                events = outcomes.of_exchange(row, material, mapping, materials, self.about)
            except InvalidInputError as error:
                place.skip(name_of(row), str(error))
                continue
            told += events
            if exchange is None:
                gone.append(name_of(row))
            else:
                found.append(exchange)
        sides = [(each.from_company, each.to_company) for each in found if isinstance(each, Exchange)]
        self._fetch_companies({company for pair in sides for company in pair})
        self._write(Exchange, found, place)
        self._remove(Exchange, gone)
        self._tell(told)

    def matches(self, rows: list[Row], place: Place) -> None:
        """Rows of matches: what came of them."""
        mapping = self.mapping.matches
        if mapping is None:
            return
        named = [each for row in rows for each in outcomes.materials_of(row)]
        materials = fetch(self.client, self.mapping.materials, named)
        types = self.mapping.materials.types
        offers = {
            each for each, row in materials.items() if types.get(str(row.get("type")).strip().casefold()) == "offer"
        }
        told: list[dict[str, Any]] = []
        for row in rows:
            try:
                events = outcomes.of_match(row, mapping, offers, self.about)
            except InvalidInputError as error:
                place.skip(name_of(row), str(error))
                continue
            told += events
        self._tell(told)

    def _fetch_companies(self, wanted: set[str]) -> None:
        missing = wanted.difference(self.store.marketplace.find(Company, wanted, DATASET))
        rows = fetch(self.client, self.mapping.companies, sorted(missing)).values() if missing else ()
        found: list[MarketValue] = []
        for row in rows:
            try:
                found.append(values.company(row, self.mapping.companies, self.notes))
            except InvalidInputError as error:
                _log.info("A company that a listing names cannot be used: %s", error)
        self._write(Company, found, None)

    def _write(self, kind: type[Any], found: list[MarketValue], place: Place | None) -> None:
        """Write those that are not stored like this: a write makes every reader load the market again."""
        key = next(iter(kind.__dataclass_fields__))
        wanted = {str(getattr(value, key)): value for value in found}
        stored = self.store.marketplace.find(kind, list(wanted), DATASET)
        fresh = [value for identifier, value in wanted.items() if stored.get(identifier) != value]
        if not fresh:
            return
        try:
            self.store.bulk_upsert(fresh, DATASET)
        except (InvalidInputError, ConflictError):
            self._write_singly(fresh, key, place)
        else:
            self.counts["written"] += len(fresh)

    def _write_singly(self, fresh: list[MarketValue], key: str, place: Place | None) -> None:
        for value in fresh:
            try:
                self.store.bulk_upsert([value], DATASET)
                self.counts["written"] += 1
            except (InvalidInputError, ConflictError) as error:
                if place is not None:
                    place.skip(str(getattr(value, key)), str(error))

    def _remove(self, kind: type[Any], identifiers: list[str]) -> None:
        if identifiers:
            self.counts["removed"] += self.store.marketplace.discard(kind, identifiers, DATASET)

    def _tell(self, events: list[dict[str, Any]]) -> None:
        if not events or self.tell is None:
            return
        for result in self.tell(events):
            # A conflict is the same event, read again after its row changed in something else.
            self.counts["events"] += result.status == "stored"
            if result.status == "rejected":  # it is kept as a dead letter
                self.notes[f"feedback: {result.reason}"] += 1
