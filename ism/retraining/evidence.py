"""What is learnt from and judged by: exchanges with the times that decide who may see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ism.domain.market import Company, Exchange, Listing
from ism.storage import Store


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
    """The exchanges of a store. Their year is all that is known: they count as happened when it began.

    Args:
        store: is read once, when made.
        maturity: how long an outcome takes to be known.
    """

    def __init__(self, store: Store, maturity: timedelta) -> None:
        self._maturity = maturity
        with store.read_market() as reader:
            self._companies = list(reader.rows(Company))
            self._listings = list(reader.rows(Listing))
            self._exchanges = list(reader.rows(Exchange))

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
