"""A market to start with: documented exchanges in eco-industrial parks, each with its published source.

The tables (`companies.csv`, `exchanges.csv`, `sources.csv`) hold facts only; what was not documented is empty. Listings
are derived from exchanges that operate or are planned. `docs/demo-market.md` tells how it was gathered and checked.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import chain
from types import MappingProxyType
from typing import cast

from ism.domain.market import Company, Exchange, ExchangeStatus, Listing, ListingKind
from ism.storage import Store

__all__ = ["DATASET", "load", "sources", "start_market"]

DATASET = "demo"
_STARTED = "market.started"

_LISTED: frozenset[ExchangeStatus] = frozenset({"operating", "planned"})


def load() -> tuple[list[Company], list[Listing], list[Exchange]]:
    """The demonstration market.

    A company is described by its park. ``checked_against`` of an exchange is empty unless its row could be checked
    against a documented record. Exchanges that operate or are planned give two listings each: the donor's
    ``offer-<exchange_id>`` and the receiver's ``need-<exchange_id>``.

    Returns:
        Companies, listings and exchanges, in file order.
    """
    companies = [_company(row) for row in _rows("companies.csv")]
    exchanges = [_exchange(row) for row in _rows("exchanges.csv")]
    listings = [listing for exchange in exchanges if exchange.status in _LISTED for listing in _listings(exchange)]
    return companies, listings, exchanges


def start_market(store: Store) -> None:
    """Give a new store the demonstration market; once, so that a market that was emptied stays empty."""
    if store.get_setting(_STARTED) is not None:
        return
    if not store.datasets():
        store.bulk_upsert(chain(*load()), DATASET)
    store.set_setting(_STARTED, True)


@cache
def sources() -> Mapping[str, str]:
    """Publications by id, as people cite them: "Authors (year), title, publisher"; what is not known is left out."""
    return MappingProxyType({row["source_id"]: _citation(row) for row in _rows("sources.csv")})


def _company(row: dict[str, str]) -> Company:
    return Company(
        company_id=row["company_id"],
        name=row["name"],
        nace=row["nace"] or None,
        country=row["country"] or None,
        latitude=_number(row["latitude"]),
        longitude=_number(row["longitude"]),
        description=row["park"],
        source=_cited(row["source"]),
    )


def _exchange(row: dict[str, str]) -> Exchange:
    return Exchange(
        exchange_id=row["exchange_id"],
        from_company=row["from_company"],
        to_company=row["to_company"],
        material=row["material"],
        description=row["description"],
        ewc=row["ewc"] or None,
        quantity_t_per_year=_number(row["quantity_t_per_year"]),
        year_start=int(row["year_start"]) if row["year_start"] else None,
        status=cast(ExchangeStatus, row["status"]),
        receiver_use=row["receiver_use"],
        source=_cited(row["source"]),
        # The table also tells what was found about rows that are not marked as checked; only the marked ones count.
        checked_against=row["checked_against"] if row["checked"] == "yes" else "",
    )


def _listings(exchange: Exchange) -> Iterator[Listing]:
    sides: tuple[tuple[ListingKind, str, str], ...] = (
        # How the exchange is described tells who receives it, so it does not describe the offer.
        ("offer", exchange.from_company, ""),
        ("need", exchange.to_company, exchange.receiver_use),
    )
    for kind, company, description in sides:
        yield Listing(
            listing_id=f"{kind}-{exchange.exchange_id}",
            company_id=company,
            kind=kind,
            material=exchange.material,
            description=description,
            ewc=exchange.ewc,
            quantity_t_per_year=exchange.quantity_t_per_year,
        )


def _cited(cell: str) -> str:
    return "; ".join(sources()[source_id] for source_id in cell.split(";"))


def _citation(row: dict[str, str]) -> str:
    work = ", ".join(dict.fromkeys(part for part in (row["title"], row["publisher_or_journal"]) if part))
    year = f" ({row['year']})" if row["year"] else ""
    return f"{row['authors']}{year}, {work}" if row["authors"] else f"{work}{year}"


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _rows(name: str) -> list[dict[str, str]]:
    with files(__name__).joinpath(name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
