"""How well an offer's terms fit what a receiver asked for: quantity, price, hazard.

Terms are compared with the receiver's need that is closest in meaning to the offer. A term that either side leaves open
fits.
"""

from __future__ import annotations

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, Rows

TERMS = ("quantity", "price", "hazard")

_CLOSE = 0.3  # a need less similar than this is about something else
_LEAST = 0.05  # nothing rules a pair out for good: people negotiate
_PRICE_STEP = 10.0  # euros a tonne: above a low asking price, differences are measured against at least this


def term_fit(market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
    """``[q, n, 3]`` fit of quantity, price and hazard in 0.05..1; 1 where a term is open.

    Args:
        market: whose receivers are asked.
        offers: ``q`` offers.
        rows: receivers, all by default.
    """
    home = market.receivers
    rows = np.arange(len(home), dtype=np.intp) if rows is None else rows
    distinct, back = np.unique(rows, return_inverse=True)
    out = np.ones((len(offers), len(distinct), len(TERMS)), dtype=np.float32)
    asked = home.has_terms
    if not asked.any():
        return out[:, back]
    place = np.full(len(home), -1, dtype=np.intp)
    place[distinct] = np.arange(len(distinct))
    open_needs = np.flatnonzero(place[home.need_owner] >= 0)
    if not asked[open_needs].any():
        return out[:, back]
    cosine = offers.vectors @ home.needs[open_needs].T
    for q in range(len(offers)):
        for need in _closest(home.need_owner[open_needs], cosine[q]):
            if asked[open_needs[need]] and cosine[q, need] >= _CLOSE:
                row = place[home.need_owner[open_needs[need]]]
                out[q, row] = _fit(offers.terms[q], home.need_terms[open_needs[need]])
    return out[:, back]


def _closest(owners: Rows, cosine: Floats) -> Rows:
    """Position of each owner's most similar need; ``owners`` ascend."""
    order = np.lexsort((-cosine, owners))
    return order[np.unique(owners[order], return_index=True)[1]]


def _fit(offered: Floats, asked: Floats) -> Floats:
    """Fit of one offer's quantity (t/yr), price (EUR/t) and hazard (1 or 0) with one need's; NaN is open."""
    fit = np.ones(len(TERMS), dtype=np.float32)
    known = np.isfinite(offered) & np.isfinite(asked)
    if known[0] and max(offered[0], asked[0]) > 0:
        fit[0] = 0.5 + 0.5 * np.sqrt(min(offered[0], asked[0]) / max(offered[0], asked[0]))
    if known[1] and offered[1] > asked[1]:
        fit[1] = np.exp(-(offered[1] - asked[1]) / max(abs(float(asked[1])), _PRICE_STEP))
    if known[2] and offered[2] > asked[2]:
        fit[2] = _LEAST
    return np.maximum(fit, _LEAST)
