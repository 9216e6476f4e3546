"""Who gives what to whom: the exchanges of the market with their sectors, distances and yearly effects."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ism.data.codes import nace
from ism.data.impact import estimate
from ism.data.impact.tables import normalised
from ism.data.knowledge import Rule, rules
from ism.data.market import distance_km
from ism.domain.market import Company, Exchange
from ism.domain.match import Estimate, Interval
from ism.storage import Store

_KM = 10.0  # distances are rounded to this for estimates, far below what their intervals can tell


@dataclass(frozen=True, slots=True)
class Flow:
    """One exchange.

    Attributes:
        chapter: of the List of Waste, two digits; empty where no code is known.
        giver, taker: sections of NACE (``C``); empty where not known.
        tonnes: a year; None where not stated.
        cost: thousand euros a year; negative is a saving; None where quantity or factors are not known.
        co2e: tonnes of CO2 equivalent a year; as ``cost``.
    """

    exchange: Exchange
    donor: Company
    receiver: Company
    chapter: str
    giver: str
    taker: str
    distance_km: float | None
    tonnes: float | None
    cost: Interval | None
    co2e: Interval | None


@dataclass(frozen=True, slots=True)
class MarketFlows:
    """The market at one moment; ``generation`` says which."""

    generation: int
    companies: Sequence[Company]
    flows: Sequence[Flow]


class Flows:
    """Keeps the flows of the latest market; threads may share it.

    Args:
        store: where the market is read from.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: MarketFlows | None = None

    def current(self) -> MarketFlows:
        """The flows of the market as it is now."""
        with self._lock:
            generation = self._store.generation()
            if self._kept is None or self._kept.generation != generation:
                self._kept = self._read()
            return self._kept

    def _read(self) -> MarketFlows:
        with self._store.read_market() as reader:
            companies = {company.company_id: company for company in reader.rows(Company)}
            exchanges = list(reader.rows(Exchange))
            generation = reader.generation
        return MarketFlows(generation, list(companies.values()), flows_of(exchanges, companies))


def flows_of(exchanges: Sequence[Exchange], companies: dict[str, Company]) -> list[Flow]:
    """Flows between companies that are known, in the order of the exchanges."""
    known = [each for each in exchanges if each.from_company in companies and each.to_company in companies]
    ends = [(companies[each.from_company], companies[each.to_company]) for each in known]
    return [
        _flow(exchange, donor, receiver, None if np.isnan(km) else float(km))
        for exchange, (donor, receiver), km in zip(known, ends, _distances(ends), strict=True)
    ]


def section(code: str | None) -> str:
    """The section of a NACE code, empty where it has none."""
    if not code:
        return ""
    return next((parent for parent in (code, *nace.parents(code)) if len(parent) == 1), "")


def total(intervals: Sequence[Interval | None]) -> Interval | None:
    """The sum of those that are known; None where none is."""
    known = [each for each in intervals if each is not None]
    if not known:
        return None
    return Interval(sum(i.low for i in known), sum(i.central for i in known), sum(i.high for i in known))


def _flow(exchange: Exchange, donor: Company, receiver: Company, km: float | None) -> Flow:
    tonnes = exchange.quantity_t_per_year
    found = None
    if tonnes is not None:
        rounded = None if km is None else _KM * round(km / _KM)
        found = _estimate(exchange.material, exchange.ewc, receiver.nace, rounded)
    return Flow(
        exchange,
        donor,
        receiver,
        chapter=(exchange.ewc or "")[:2],
        giver=section(donor.nace),
        taker=section(receiver.nace),
        distance_km=km,
        tonnes=tonnes,
        cost=_yearly(found.cost_eur_per_t, tonnes) if found else None,
        co2e=_yearly(found.co2e_kg_per_t, tonnes) if found else None,
    )


@lru_cache(maxsize=16_384)
def _estimate(material: str, ewc: str | None, taker: str | None, km: float | None) -> Estimate:
    rule = _rule(material, taker)
    replaces, function = (rule.replaces, rule.function) if rule else (None, None)
    return estimate(material, replaces, ewc, None, km, None, function)


def _rule(material: str, taker: str | None) -> Rule | None:
    """The strongest rule that knows this material by name in this sector."""
    found = [
        rule
        for rule in _rules_by_name().get(normalised(material), ())
        if taker and rule.receiver_nace and taker.startswith(rule.receiver_nace)
    ]
    return max(found, key=lambda rule: rule.strength, default=None)


@lru_cache(maxsize=1)
def _rules_by_name() -> dict[str, list[Rule]]:
    by_name: dict[str, list[Rule]] = {}
    for rule in rules():
        for name in (rule.material, *rule.synonyms):
            by_name.setdefault(normalised(name), []).append(rule)
    return by_name


def _yearly(interval: Interval | None, tonnes: float | None) -> Interval | None:
    """From one tonne (EUR, kg) to a year (thousand EUR, t)."""
    if interval is None or tonnes is None:
        return None
    return Interval(*(value * tonnes / 1000 for value in (interval.low, interval.central, interval.high)))


def _distances(ends: Sequence[tuple[Company, Company]]) -> np.ndarray[tuple[int], np.dtype[np.floating]]:
    def degrees(which: int, name: str) -> np.ndarray[tuple[int], np.dtype[np.floating]]:
        return np.asarray([getattr(pair[which], name) for pair in ends], dtype=np.float64)

    return np.asarray(
        distance_km(degrees(0, "latitude"), degrees(0, "longitude"), degrees(1, "latitude"), degrees(1, "longitude")),
        dtype=np.float64,
    )
