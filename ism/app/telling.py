"""What engines found, as sentences in the order in which a person wants to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from ism.data.build import BuiltMarket
from ism.data.codes import ewc
from ism.data.market import OfferArrays, Rows
from ism.domain.engine import Reason
from ism.domain.market import Offer
from ism.engines.base import Engine

_MOST = 6


def reasons_for(
    engines: Mapping[str, Engine], built: BuiltMarket, offers: OfferArrays, rows: Rows
) -> list[tuple[Reason, ...]]:
    """Reasons for the first offer and each receiver: each sentence once, best rule and best precedent first."""
    by_engine = [engine.explain_all(built.market, offers, 0, rows) for engine in engines.values()]
    return [_in_order(chain.from_iterable(told)) for told in zip(*by_engine, strict=True)]


def _in_order(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    told: dict[str, Reason] = {}
    for reason in reasons:
        if reason.text not in told or told[reason.text].strength < reason.strength:
            told[reason.text] = reason
    ranked = sorted(told.values(), key=lambda reason: -reason.strength)
    first = [next((reason for reason in ranked if reason.kind == kind), None) for kind in ("rule", "precedent")]
    leading = [reason for reason in first if reason is not None]
    return tuple([*leading, *(reason for reason in ranked if reason not in leading)][:_MOST])


def hazard_of(offer: Offer) -> str:
    """Hazard status of an offer, for people: by its code, by its own word, or that it is not known."""
    if offer.ewc is not None and ewc.hazard_status(offer.ewc):
        return ewc.hazard_sentence(offer.ewc)
    if offer.hazardous is not None:
        return (
            "Stated by the offering company: hazardous."
            if offer.hazardous
            else "Stated by the offering company: not hazardous."
        )
    return "Not known: give a six-digit List-of-Waste code."
