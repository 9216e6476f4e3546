"""A matcher that answers at once, and a market that is quick to learn from."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ism.data import demo
from ism.data.text import TextEncoder
from ism.domain.engine import Reason
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Listing, Offer
from ism.domain.match import Estimate, Factor, Interval, Match, MatchedReceiver, MatchFilters, MatchResult
from ism.settings import Settings
from ism.storage import Store

ADMIN_KEY = "a-long-admin-key-for-tests"


def fill(store: Store) -> None:
    """Part of the demonstration market, so that a trial is quick."""
    companies, _, exchanges = demo.load()
    few = exchanges[:40]
    named = {name for exchange in few for name in (exchange.from_company, exchange.to_company)}
    store.bulk_upsert([*(company for company in companies if company.company_id in named), *few])


class FakeMatcher:
    """Answers every offer with two receivers."""

    def __init__(
        self, store: Store, encoder: TextEncoder, model_folder: Path, settings: Settings, **more: object
    ) -> None:
        self.asked: list[tuple[Offer, int, MatchFilters | None]] = []

    def refresh(self) -> None:
        pass

    def match(self, offer: Offer, top: int = 20, filters: MatchFilters | None = None) -> MatchResult:
        self.asked.append((offer, top, filters))
        reasons = (
            Reason("Fly ash is a constituent of cement.", "rule", "EN 197-1", "knowledge_graph", 0.9),
            Reason("<b>Ash</b> went to a cement works.", "precedent", "https://example.org/paper", "matching", 0.5),
        )
        estimate = Estimate(
            Interval(-30.0, -12.5, 4.0),
            Interval(-900.0, -700.0, -350.0),
            (Factor("clinker", Interval(750, 850, 950), "kg CO2e/t", "a source"),),
        )
        works = MatchedReceiver(
            "company", "works", "Aalborg Portland", "23.51", "Manufacture of cement", "DK", 57.0, 9.9
        )
        sector = MatchedReceiver("sector", "nace:23.51", "Manufacture of cement", "23.51", "Manufacture of cement")
        shares = {"matching": 0.3, "knowledge_graph": 0.45}
        first = Match(
            "r-1", 1, works, 0.75, 0.8, shares, reasons, 210.4, offer.quantity_t_per_year, estimate, "Mirror entry."
        )
        second = replace(
            first, recommendation_id="r-2", rank=2, receiver=sector, distance_km=None,
            estimate=Estimate(None, None, (), ("No distance is known.",)),
        )  # fmt: skip
        return MatchResult("r", offer, (first, second)[:top], {"gnn": "absent"}, {"matching": "1"}, datetime.now(UTC))

    def match_pair(self, buyer: Company, needs: Sequence[Listing], offers: Sequence[Offer]) -> MatchResult:
        if not offers:
            raise InvalidInputError("seller.listings", [], "List at least one offer of the seller.")
        result = self.match(offers[0], 1)
        receiver = MatchedReceiver("company", buyer.company_id, buyer.name, buyer.nace)
        return replace(
            result, matches=(replace(result.matches[0], receiver=receiver),), notes=tuple(n.material for n in needs)
        )

    def status(self) -> dict[str, dict[str, str]]:
        return {
            "market": {"state": "ok", "detail": "2 receivers"},
            "engine:matching": {"state": "ok", "detail": "version 1"},
            "engine:gnn": {"state": "degraded", "detail": "absent"},
        }
