"""What is learnt from and judged by: exchanges with the times that decide who may see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from ism.domain.judgement import Exposure, Label
from ism.domain.market import Company, Exchange, Listing
from ism.storage import Store

_TAKEN: Final = frozenset({"accepted", "delivered"})
_LEAST_WEIGHT = 0.5  # of the evidence, after trust: below, a match is not learnt from as if it had happened


@dataclass(frozen=True, slots=True)
class Evidence:
    """One exchange, with when it happened and when that was known.

    Attributes:
        happened_at: when the receiver took it; None where it is not known.
        known_at: when we knew; what is judged must not be known before the model that it judges was trained.
        recorded_at: when the offer's facts were written down; facts from after the outcome would leak it.
        rater: who said so; the donor where nobody else did.
    """

    exchange: Exchange
    happened_at: datetime | None = None
    known_at: datetime | None = None
    recorded_at: datetime | None = None
    rater: str = ""


class EvidenceSource(Protocol):
    """Where a snapshot comes from."""

    def companies(self) -> Iterable[Company]:
        """Every company."""
        ...

    def listings(self) -> Iterable[Listing]:
        """Offers and needs; only needs are read."""
        ...

    def evidence(self) -> Iterable[Evidence]:
        """Every exchange that counts."""
        ...


class StoreEvidence:
    """The exchanges of a store, and the matches that feedback says were taken.

    Of an exchange its year is all that is known: it counts as happened when it began. A match counts as happened when
    it was shown, and as known when its label matured.

    Args:
        store: is read once, when made.
        maturity: how long an outcome takes to be known.
        clock: tells the time, UTC; what is known later stays out.
    """

    def __init__(
        self, store: Store, maturity: timedelta, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._maturity = maturity
        with store.read_market() as reader:
            self._companies = list(reader.rows(Company))
            self._listings = list(reader.rows(Listing))
            self._exchanges = list(reader.rows(Exchange))
        with store.judging(write=False) as tables:
            labels = tables.labels.labels_up_to(tables.labels.last_version(clock()))
            taken = [label for label in labels if _was_taken(label)]
            shown = tables.labels.exposures(label.recommendation_id for label in taken)
        self._matches = [
            _match(label, shown[label.recommendation_id])
            for label in taken
            if shown[label.recommendation_id].offer.get("company_id")
            and shown[label.recommendation_id].receiver_kind == "company"
        ]

    def companies(self) -> list[Company]:
        """Every company."""
        return self._companies

    def listings(self) -> list[Listing]:
        """Every listing."""
        return self._listings

    def evidence(self) -> Iterator[Evidence]:
        """Every exchange that was not only planned."""
        for exchange in self._exchanges:
            if exchange.status == "planned":
                continue
            began = datetime(exchange.year_start, 1, 1, tzinfo=UTC) if exchange.year_start else None
            yield Evidence(exchange, began, began and began + self._maturity, None, exchange.from_company)
        yield from self._matches


def _was_taken(label: Label) -> bool:
    believed = label.state == "matured" and bool(label.value) and label.weight >= _LEAST_WEIGHT
    return believed and label.outcome in _TAKEN


def _match(label: Label, shown: Exposure) -> Evidence:
    """A match that was taken, as an exchange; whose word it was counts when raters are dropped."""
    offer, donor = shown.offer, str(shown.offer["company_id"])
    exchange = Exchange(
        exchange_id=f"match:{label.recommendation_id}",
        from_company=donor,
        to_company=shown.receiver_id,
        material=offer["material"],
        description=offer.get("description", ""),
        ewc=offer.get("ewc"),
        quantity_t_per_year=offer.get("quantity_t_per_year"),
        year_start=shown.shown_at.year,
        status="operating" if label.outcome == "delivered" else "unknown",
        source="feedback",
    )
    return Evidence(exchange, shown.shown_at, label.matured_at or label.as_of, shown.shown_at, label.actor_id or donor)
