"""From stored values to the column arrays of a `Market`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from ism.data.codes import nace
from ism.data.market import Ints, Market, Precedents, Receivers, ewc_levels, nace_levels
from ism.data.market import column as floats
from ism.data.text import TextEncoder
from ism.domain.market import Company, Exchange, Listing, ReceiverKind
from ism.storage import Store

SECTOR_PREFIX = "nace:"


@dataclass(frozen=True)
class BuiltMarket:
    """A market with what is needed to talk about it.

    Attributes:
        market: the arrays.
        groups: ``[p]`` group of each precedent: its donor, whose cases must not teach an engine about each other.
        companies: by receiver row; None for a sector.
        row_of: receiver identifier -> row.
        past_partners: company identifier -> identifiers of the companies that took something from it.
    """

    market: Market
    groups: Ints
    companies: list[Company | None]
    row_of: dict[str, int]
    past_partners: dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class _Need:
    """What one receiver asks for, with its quantity (t/yr), price (EUR/t) and whether hazardous waste is taken."""

    owner: int
    text: str
    terms: tuple[float | None, float | None, float | None] = (None, None, None)


def need_terms(need: Listing) -> tuple[float | None, float | None, float | None]:
    """Quantity, price and whether hazardous waste is taken, as `Receivers.need_terms` holds them."""
    taken = None if need.hazardous is None else float(need.hazardous)
    return need.quantity_t_per_year, need.price_eur_per_t, taken


def sector_id(code: str) -> str:
    """Identifier of a sector as a receiver."""
    return f"{SECTOR_PREFIX}{code}"


def build_market(
    companies: Iterable[Company],
    listings: Iterable[Listing],
    exchanges: Iterable[Exchange],
    encoder: TextEncoder,
    generation: int = 0,
    classes: Sequence[str] | None = None,
) -> BuiltMarket:
    """Column arrays of a market.

    Receivers are its companies, then sectors; precedents are its exchanges, without those that were only planned. A
    company asks for what its needs say; without needs, for what its sector's title says.

    Args:
        companies: every company, listed or party to an exchange.
        listings: offers and needs; only needs are read.
        exchanges: what happened; those to an unknown company are left out.
        encoder: turns texts into vectors.
        generation: of the store that was read.
        classes: NACE classes that are receivers themselves; all of them when None.
    """
    firms = {company.company_id: company for company in companies}
    classes = nace.all_classes() if classes is None else classes
    row_of = {identifier: row for row, identifier in enumerate([*firms, *map(sector_id, classes)])}
    declared = [
        _Need(row_of[need.company_id], _text(need.material, need.description), need_terms(need))
        for need in listings
        if need.kind == "need" and need.company_id in firms
    ]
    asking = {need.owner for need in declared}
    titles = [
        _Need(row_of[key], nace.title(firm.nace))
        for key, firm in firms.items()
        if firm.nace and row_of[key] not in asking
    ]
    titles += [_Need(row_of[sector_id(code)], nace.title(code)) for code in classes]
    needs = sorted(dict.fromkeys(declared + titles), key=lambda need: (need.owner, need.text))
    receivers = _receivers([*firms.values()], classes, needs, encoder)
    past = [exchange for exchange in exchanges if exchange.status != "planned" and exchange.to_company in firms]
    past.sort(key=lambda exchange: (row_of[exchange.to_company], exchange.exchange_id))
    partners: dict[str, set[str]] = {}
    for exchange in past:
        partners.setdefault(exchange.from_company, set()).add(exchange.to_company)
    donors = {name: number for number, name in enumerate(dict.fromkeys(exchange.from_company for exchange in past))}
    market = Market(receivers, _precedents(past, firms, row_of, encoder), generation)
    groups = np.asarray([donors[exchange.from_company] for exchange in past], dtype=np.int32)
    return BuiltMarket(market, groups, [*firms.values(), *[None] * len(classes)], row_of, partners)


def read_market(store: Store, encoder: TextEncoder, day: date | None = None) -> BuiltMarket:
    """The market of a store at one moment, with the listings that stand on ``day`` (today, UTC, when None)."""
    day = datetime.now(UTC).date() if day is None else day
    with store.read_market() as reader:
        listings = (listing for listing in reader.rows(Listing) if _stands(listing, day))
        return build_market(reader.rows(Company), listings, reader.rows(Exchange), encoder, reader.generation)


def _stands(listing: Listing, day: date) -> bool:
    """Whether a listing stands on that day; its last day counts."""
    begun = listing.valid_from is None or listing.valid_from <= day
    return begun and (listing.valid_until is None or day <= listing.valid_until)


def _receivers(
    firms: Sequence[Company], classes: Sequence[str], needs: Sequence[_Need], encoder: TextEncoder
) -> Receivers:
    kinds: list[ReceiverKind] = [*["company"] * len(firms), *["sector"] * len(classes)]  # type: ignore[list-item]  # literals
    nowhere = [None] * len(classes)
    return Receivers(
        ids=[*(firm.company_id for firm in firms), *map(sector_id, classes)],
        names=[*(firm.name for firm in firms), *map(nace.title, classes)],
        kinds=kinds,
        nace=nace_levels([*(firm.nace for firm in firms), *classes]),
        latitude=floats([*(firm.latitude for firm in firms), *nowhere]),
        longitude=floats([*(firm.longitude for firm in firms), *nowhere]),
        countries=[*(firm.country or "" for firm in firms), *[""] * len(classes)],
        needs=encoder.encode([need.text for need in needs]),
        need_owner=np.asarray([need.owner for need in needs], dtype=np.intp),
        need_texts=[need.text for need in needs],
        need_terms=floats([term for need in needs for term in need.terms]).reshape(-1, 3),
    )


def _precedents(
    past: Sequence[Exchange], firms: dict[str, Company], row_of: dict[str, int], encoder: TextEncoder
) -> Precedents:
    donors = [firms.get(exchange.from_company) for exchange in past]
    texts = [_text(exchange.material, "") for exchange in past]
    return Precedents(
        receiver=np.asarray([row_of[exchange.to_company] for exchange in past], dtype=np.intp),
        vectors=encoder.encode(texts),
        ewc=ewc_levels([exchange.ewc for exchange in past]),
        donor_nace=nace_levels([donor.nace if donor else None for donor in donors]),
        receiver_nace=nace_levels([firms[exchange.to_company].nace for exchange in past]),
        latitude=floats([donor.latitude if donor else None for donor in donors]),
        longitude=floats([donor.longitude if donor else None for donor in donors]),
        texts=texts,
        references=[_phrase(exchange, firms) for exchange in past],
        sources=[exchange.source for exchange in past],
    )


def _phrase(exchange: Exchange, firms: dict[str, Company]) -> str:
    """An exchange in one line: what, from whom, to whom, since when."""
    donor = firms[exchange.from_company].name if exchange.from_company in firms else exchange.from_company
    use = exchange.receiver_use
    if use[1:2].islower():  # "Cement clinker", but not "PVC" or "CO2 supply"
        use = use[:1].lower() + use[1:]
    use = f" for {use}" if use else ""
    since = f", since {exchange.year_start}" if exchange.year_start else ""
    ended = ", since ended" if exchange.status == "discontinued" else ""
    return f"{exchange.material} from {donor} to {firms[exchange.to_company].name}{use}{since}{ended}."


def _text(material: str, description: str) -> str:
    return f"{material}. {description}" if description else material
