"""What an exchange would save or cost, and what it would spare the climate: intervals with factors and sources.

An estimate adds four parts for each tonne exchanged: the replaced material, the avoided disposal, transport, and the
price paid. A part that cannot be known is left out and named; nothing is filled in. How the factors were chosen is told
in `docs/impact.md`.
"""

from __future__ import annotations

import math

from ism.data.codes.ewc import parse_ewc
from ism.data.impact import tables
from ism.data.impact.intervals import total
from ism.data.impact.parts import disposal, is_hazardous, payment, route_of, transport
from ism.data.impact.replaced import avoided_material
from ism.domain.errors import InvalidInputError
from ism.domain.match import Estimate

__all__ = ["estimate"]


def estimate(  # noqa: PLR0913, PLR0917 - the facts of one exchange, each of which may be unknown
    material_text: str,
    replaces: str | None,
    ewc: str | None,
    hazardous: bool | None,
    distance_km: float | None,
    price_eur_per_t: float | None,
    function: str | None = None,
) -> Estimate:
    """Cost (EUR/t) and CO2e (kg/t) of one tonne exchanged; negative is a saving.

    Cost is transport plus the price paid, less the avoided disposal fee and the avoided purchase of the replaced
    material; CO2e is transport and recycling, less the avoided making and disposal. Ends of intervals are added with
    ends, which is conservative.

    Args:
        material_text: the residue in people's words.
        replaces: the material it replaces, as a rule of the knowledge base names it.
        ewc: code or prefix of the List of Waste.
        hazardous: whether it is declared hazardous.
        distance_km: straight line between the sites.
        price_eur_per_t: what the receiver pays; below zero where the donor pays.
        function: what the residue does for the receiver, as a rule names it (``fuel``).

    Raises:
        InvalidInputError: a number that is none, a negative distance, or an unknown code.

    >>> found = estimate("fly ash", "Portland clinker", "10 01 02", False, 100.0, None)
    >>> found.co2e_kg_per_t.low < found.co2e_kg_per_t.high < 0
    True
    """
    _check(distance_km, price_eur_per_t)
    code = None if ewc is None else parse_ewc(ewc, prefixes=True)
    text, danger = tables.normalised(material_text), is_hazardous(code, hazardous)
    route = route_of(text, code, function, danger)
    parts = (
        avoided_material(text, replaces, code, function),
        disposal(route),
        transport(route, distance_km),
        payment(price_eur_per_t),
    )
    missing = dict.fromkeys(text for part in parts for text in part.missing)
    if code is None and hazardous is None and route.route != "none":
        missing["Neither code nor hazard is known, so disposal as non-hazardous waste is assumed."] = None
    return Estimate(
        cost_eur_per_t=total(part.cost for part in parts if part.cost is not None),
        co2e_kg_per_t=total(part.co2e for part in parts if part.co2e is not None),
        factors=tuple(dict.fromkeys(factor for part in parts for factor in part.factors)),
        missing=tuple(missing),
    )


def _check(distance_km: float | None, price_eur_per_t: float | None) -> None:
    if distance_km is not None and not 0 <= distance_km < math.inf:
        raise InvalidInputError("distance_km", distance_km, "Give kilometres, zero or more, or leave it out.")
    if price_eur_per_t is not None and not math.isfinite(price_eur_per_t):
        raise InvalidInputError("price_eur_per_t", price_eur_per_t, "Give euros a tonne, or leave it out.")
