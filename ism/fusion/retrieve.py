"""From a market of any size to the few hundred receivers that are worth scoring."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ism.data.market import Market, OfferArrays, Rows
from ism.engines.base import Engine

PROPOSALS = 80  # a criterion of an engine


def retrieve(market: Market, offers: OfferArrays, engines: Iterable[Engine], count: int = PROPOSALS) -> Rows:
    """Rows of receivers to score for a single offer, ascending; all where they are few.

    Otherwise these are the receivers that the engines propose, with the sectors of the companies among them.

    Args:
        market: whose receivers are searched.
        offers: a single offer.
        engines: each proposes by its own criteria.
        count: proposals a criterion.
    """
    size = len(market.receivers)
    if size <= 12 * count:
        return np.arange(size, dtype=np.intp)
    proposed = np.unique(np.concatenate([np.zeros(0, np.intp), *(e.propose(market, offers, count) for e in engines)]))
    sectors = np.flatnonzero(market.receivers.sector)
    theirs = sectors[np.isin(market.receivers.nace[sectors, 2], market.receivers.nace[proposed, 2])]
    return np.union1d(proposed, theirs).astype(np.intp)
