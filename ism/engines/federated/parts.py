"""The parts of a pair's utility: exact, since the utility is linear; and in words."""

from __future__ import annotations

import math

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, distance_km
from ism.domain.engine import Reason, ReasonKind
from ism.engines.federated.columns import OFFER_GROUPS, PAIR_GROUPS

_LEAST = 0.25  # log-odds below which a part would not convince a person
_SCALE = 4.0  # log-odds at which a part's strength is 0.76


def utility_parts(offer: Floats, pair: Floats) -> dict[str, float]:
    """Sums by group of the products of columns and parameters.

    Args:
        offer: ``[OFFER_COLUMNS]`` products of the offer's columns with the receiver's factors.
        pair: ``[PAIR_COLUMNS]`` products of the pair's columns with their weights.
    """
    parts = {name: float(offer[group].sum()) for name, group in OFFER_GROUPS.items()}
    return parts | {name: float(pair[group].sum()) for name, group in PAIR_GROUPS.items()}


_KINDS: dict[str, ReasonKind] = {
    "always": "sector",
    "text": "similarity",
    "code": "similarity",
    "donor": "sector",
    "distance": "distance",
    "need": "similarity",
    "division": "sector",
    "rule": "rule",
}
_SENTENCES = {
    "always": "{name} takes more than most: so the participating sites learned together.",
    "text": "What is offered reads like what {name} takes, by what the participating sites learned together.",
    "code": "{name} takes waste of this code more than most, by what the participating sites learned together.",
    "donor": "{name} takes more than most from this sector, by what the participating sites learned together.",
    "distance": "{name} is {km:,.0f} km away; closer receivers were chosen more often at all sites.",
    "need": "{name} asks for something close to what is offered.",
    "division": "{name} works in the same division of industry as the offering company.",
    "rule": "The curated rules lead from what is offered to what {name} does.",
}
_SECTOR_NEED = "What is offered is close to what the sector is called: {title}."


def part_reasons(market: Market, one: OfferArrays, row: int, parts: dict[str, float]) -> list[Reason]:
    """A sentence for each part that speaks for the pair, strongest first.

    Args:
        market: of the receiver.
        one: a single offer.
        row: the receiver.
        parts: from `utility_parts`; ``detail`` tells each in log-odds.
    """
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return [
        Reason(
            text=_sentence(market, one, row, name),
            kind=_KINDS[name],
            engine="federated",
            strength=round(math.tanh(value / _SCALE), 4),
            detail={"log_odds": round(value, 4), "part": name},
        )
        for name, value in ordered
        if value >= _LEAST
    ]


def _sentence(market: Market, one: OfferArrays, row: int, part: str) -> str:
    home = market.receivers
    if part == "need" and home.kinds[row] == "sector":
        return _SECTOR_NEED.format(title=home.names[row])
    away = distance_km(one.latitude[:1], one.longitude[:1], home.latitude[row : row + 1], home.longitude[row : row + 1])
    return _SENTENCES[part].format(name=home.names[row], km=float(np.nan_to_num(away)[0]))
