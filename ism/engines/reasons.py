"""Precedents as sentences; shared by the engines that rest on them."""

import numpy as np

from ism.data.market import Market, OfferArrays
from ism.domain.engine import Reason

_LEAST_LIKENESS = 0.45  # below, a precedent would not convince a person
_MOST = 3


def precedent_reasons(market: Market, one: OfferArrays, row: int, engine: str) -> list[Reason]:
    """Up to three precedents that resemble the offer, of the receiver itself or of its NACE class, closest first.

    Args:
        market: whose precedents are told.
        one: a single offer.
        row: the receiver.
        engine: who gives the reason.
    """
    past, nace = market.precedents, market.receivers.nace[row]
    own = past.receiver == row
    rows = np.flatnonzero(own | ((past.receiver_nace[:, 2] == nace[2]) & (nace[2] >= 0)))
    cosine = np.clip(past.vectors[rows] @ one.vectors[0], 0.0, 1.0)
    shared = ((past.ewc[rows] == one.ewc[0]) & (one.ewc[0] >= 0)).sum(axis=1)
    likeness = 0.7 * cosine + 0.3 * np.take([0.0, 0.1, 0.4, 1.0], shared)
    order = np.argsort(-(likeness + 0.1 * own[rows]), kind="stable")
    chosen = [int(k) for k in order if likeness[k] >= _LEAST_LIKENESS][:_MOST]
    return [
        Reason(
            text=f"Precedent: {past.references[rows[k]]}",
            kind="precedent",
            source=past.sources[rows[k]],
            engine=engine,
            strength=round(float(likeness[k]), 4),
            detail={"similarity": round(float(cosine[k]), 3), "same_receiver": bool(own[rows[k]])},
        )
        for k in chosen
    ]
