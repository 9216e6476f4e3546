"""A marketplace with the columns that are typical; the connector on a store, with a matcher without engines."""

import asyncio
import uuid
from datetime import UTC, datetime

from ism.app.marketplace.connector import MarketplaceConnector
from ism.app.marketplace.exchange import Surroundings
from ism.app.wiring import offer_from
from ism.domain.market import Company, Listing, Offer, Recommendation
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import open_store

TABLES = """
    create table companies (
      id uuid primary key default gen_random_uuid(), name text, industry text, location text, latitude float8,
      longitude float8, main_materials text[], products text);
    create table materials (
      id uuid primary key default gen_random_uuid(), company_id uuid references companies on delete cascade,
      material_name text, type text, category text, quantity numeric, unit text, frequency text, description text,
      quality_grade text, price_per_unit numeric, currency text, location text, properties jsonb, status text);
    create table symbiotic_matches (
      id uuid primary key default gen_random_uuid(), company_a_id uuid references companies on delete cascade,
      company_b_id uuid references companies on delete cascade, material_a_id uuid, material_b_id uuid,
      match_score float8, status text, user_feedback jsonb);
    create table material_exchanges (
      id bigint generated always as identity primary key, from_company_id uuid references companies on delete cascade,
      to_company_id uuid references companies on delete cascade, material_id uuid, quantity numeric, status text,
      delivered_at timestamptz);
"""


def number(place: int) -> str:
    """A UUID that tests can name."""
    return str(uuid.UUID(int=place))


STEEL, CEMENT, PAPER, BREWERY = map(number, (1, 2, 3, 4))
SLAG, ASH, CLAY, GRAIN = map(number, (11, 12, 13, 14))


def market() -> str:
    """Four companies, four listings, one delivery."""
    return f"""{TABLES}
    insert into companies values
      ('{STEEL}', 'Stahlwerk', '24.10', 'Duisburg', 51.4, 6.7, array['iron ore', 'coke'], 'steel'),
      ('{CEMENT}', 'Zementwerk', 'Manufacture of cement', 'Beckum', 51.7, 8.0, null, 'cement'),
      ('{PAPER}', 'Papierfabrik', 'paper', null, null, null, null, null),
      ('{BREWERY}', 'Brauerei', 'C11.05', 'Köln', 50.9, 6.9, array['malt'], 'beer');
    insert into materials (id, company_id, material_name, type, category, quantity, unit, frequency, description,
      price_per_unit, currency, properties, status) values
      ('{SLAG}', '{STEEL}', 'blast furnace slag', 'waste', '10 02 01', 500, 'tons', 'monthly', 'granulated',
       4, 'EUR', '{{"hazardous": false}}', 'active'),
      ('{ASH}', '{PAPER}', 'fly ash', 'waste', 'ash', 250, 'kg', 'weekly', null, 0.01, 'EUR', '{{"ewc": "100102"}}',
       'active'),
      ('{CLAY}', '{CEMENT}', 'clay substitute', 'requirement', 'mineral', 10, 'm3', null, null, null, null, null, null),
      ('{GRAIN}', '{BREWERY}', 'spent grain', 'waste', null, 3, 't', 'daily', null, null, null, null, 'active');
    insert into material_exchanges (from_company_id, to_company_id, material_id, quantity, status, delivered_at) values
      ('{STEEL}', '{CEMENT}', '{SLAG}', 120, 'delivered', '2024-05-06T07:08:09Z');
    """


class Opened:
    """Store, feedback and connector, without engines: the first other company fits, and a sector.

    Attributes:
        now: what the clock says; the time of the machine when None.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, open_store(settings)
        self.feedback = AIFeedbackOrchestrator(self.store, settings)
        self.now: datetime | None = None
        self.connector = self.connect()

    def connect(self) -> MarketplaceConnector:
        """Another connector on the same store."""
        around = Surroundings(
            self.settings,
            self.store,
            lambda events: asyncio.run(self.feedback.ingest_batch(events)),
            lambda: self.feedback.is_open,
            self.match,
            self.offer_of,
            lambda: True,
            lambda: self.now or datetime.now(UTC),
        )
        return MarketplaceConnector(around)

    def offer_of(self, listing_id: str) -> Offer:
        listing = self.store.get(Listing, listing_id)
        return offer_from(listing, self.store.get(Company, listing.company_id))

    def match(self, offer: Offer, top: int) -> None:
        """Log as the real matcher does."""
        request, now = uuid.uuid4().hex, datetime.now(UTC)
        companies = self.store.page(Company, limit=2).items
        shown = [each.company_id for each in companies if each.company_id != offer.company_id][:1]
        receivers = [*(("company", each) for each in shown), ("sector", "nace:23.51")]
        told = {name: value for name in Offer.__slots__ if (value := getattr(offer, name)) is not None}
        self.store.log_recommendations([
            Recommendation(
                f"{request}-{rank}", request, rank, kind, receiver, 0.5, 0.5, 1.0, {"matching": 0.5}, {"matching": "1"},
                told, now,
            )
            for rank, (kind, receiver) in enumerate(receivers, start=1)
        ])  # fmt: skip

    def close(self) -> None:
        self.connector.stop()
        self.feedback.close()
        self.store.close()
