"""What the way to the receiver costs and emits, and what the way to disposal would have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ism.data.codes.ewc import hazard_status
from ism.data.impact import tables
from ism.data.impact.intervals import certain, negative, times
from ism.data.impact.tables import Route
from ism.domain.match import Factor, Interval

SHORT_HAUL_KM = 50.0
DETOUR = Factor(
    "Road length over straight line",
    Interval(1.0, 1.3, 1.5),
    "km/km",
    tables.source("ballou-2002"),
    "Countries differ: about 1.2 in the United States, 1.3 to 1.5 in Europe. Recalled from the source, not read again. "
    "Low: the distance is already that of the road.",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an estimate; amounts a tonne, negative is a saving, None is not known."""

    cost: Interval | None = None
    co2e: Interval | None = None
    factors: tuple[Factor, ...] = ()
    missing: tuple[str, ...] = ()


def is_hazardous(ewc: str | None, hazardous: bool | None) -> bool:
    """Whether a hazardous route must be taken: it is declared, or the code is a hazardous entry."""
    return bool(hazardous) or (ewc is not None and hazard_status(ewc) in ("AH", "MH"))


@lru_cache(maxsize=256)  # asked for with each receiver of an offer
def route_of(text: str, ewc: str | None, function: str | None, hazardous: bool) -> Route:
    """Where the waste would go: by its code, else the longest phrase in its text, else its function, else landfill.

    A waste with a code is a waste; streams such as steam, which nobody disposes of, have none.
    """
    open_routes = [route for route in tables.routes() if route.hazardous == hazardous]
    default = next(route for route in open_routes if not (route.ewc or route.words or route.functions))
    if ewc is not None:
        by_code = max(open_routes, key=lambda route: tables.covers(route.ewc, ewc))
        return by_code if tables.covers(by_code.ewc, ewc) else default
    by_word = max(open_routes, key=lambda route: _longest(route, text))
    if _longest(by_word, text):
        return by_word
    return next((route for route in open_routes if function in route.functions), default)


def disposal(route: Route) -> Part:
    """What is saved because the waste is not disposed of."""
    if route.route == "none":
        return Part(missing=(f"No avoided disposal is counted: {route.note[:1].lower()}{route.note[1:]}",))
    co2e, fee = tables.factor("disposal", route.route), tables.factor("price_disposal", route.price_route)
    found = [_noted(factor, route.note) for factor in (co2e, fee) if factor is not None]
    return Part(
        cost=negative(fee.value) if fee else None, co2e=negative(co2e.value) if co2e else None, factors=tuple(found)
    )


def transport(route: Route, distance_km: float | None) -> Part:
    """What the way to the receiver costs and emits, by road."""
    if route.carried != "truck":
        how = "It goes by pipe or cable" if route.carried == "pipe" else "Nothing is carried"
        return Part(missing=(f"{how}, so road transport is not counted; what a connection costs is left out.",))
    if distance_km is None:
        return Part(missing=("The distance is not known, so transport is left out.",))
    vehicle = "truck-rigid-over-17t" if distance_km < SHORT_HAUL_KM else "truck-hgv-average"
    co2e, price = tables.factor("transport", vehicle), tables.factor("price_transport", vehicle)
    way = times(DETOUR.value, certain(distance_km))
    note = f"Over {distance_km:.0f} km in a straight line."
    return Part(
        cost=times(price.value, way) if price else None,
        co2e=times(co2e.value, way) if co2e else None,
        factors=(*(_noted(factor, note) for factor in (co2e, price) if factor is not None), DETOUR),
    )


def payment(price_eur_per_t: float | None) -> Part:
    """What the receiver pays the donor; below zero where the donor pays."""
    if price_eur_per_t is None:
        return Part(missing=("No price is given, so what one pays the other is left out.",))
    note = "Paid by one partner to the other; for both together it cancels out."
    value = certain(price_eur_per_t)
    return Part(cost=value, factors=(Factor("Price paid for the offer", value, "EUR/t", "the offer itself", note),))


def _noted(factor: Factor, note: str) -> Factor:
    return Factor(factor.name, factor.value, factor.unit, factor.source, f"{note} {factor.note}")


def _longest(route: Route, text: str) -> int:
    return max((len(word) for word in route.words if tables.has_phrase(text, word)), default=0)
