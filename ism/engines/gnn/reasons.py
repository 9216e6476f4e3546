"""Edges as sentences: what the score would be without them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from ism.data.graph import KNOWN, OfferNodes
from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.votes import vote_index
from ism.domain.engine import Reason, ReasonKind
from ism.engines.gnn.embedding import Embedding, asked_of, probability, row_entries, row_nodes
from ism.engines.gnn.forward import HOMES, Weights
from ism.engines.gnn.removal import Removal, utilities_without

_PRECEDENTS = 12  # taken away in turn: those that have most in common with the pair
_MOST = 4
_LEAST = 0.1  # log odds; a smaller drop is no reason
_OFFER_EDGES: dict[str, tuple[ReasonKind, str]] = {
    "material": ("similarity", "The offer resembles materials that were exchanged before, such as “{material}”"),
    "waste": ("similarity", "The offer's List-of-Waste code ties it to earlier exchanges of such waste"),
    "sector": ("sector", "The offering sector ties the offer to earlier exchanges of that sector"),
    "place": ("distance", "The offer's region ties it to earlier exchanges from around there"),
}
_HOME_EDGES: dict[str, tuple[ReasonKind, str]] = {
    "sector": ("sector", "{receiver} is tied to what its sector took"),
    "place": ("distance", "{receiver} is tied to exchanges from its region"),
}


@dataclass(frozen=True, eq=False)
class _Pair:
    """What is explained: a single offer, as columns and as nodes, and the receiver at ``row``."""

    market: Market
    embedding: Embedding
    offer: OfferArrays
    joined: OfferNodes
    row: int


def edge_reasons(
    weights: Weights, embedding: Embedding, market: Market, one: OfferArrays, rows: Rows
) -> list[list[Reason]]:
    """For each receiver, up to four edges and precedents whose removal lowers the score most, strongest first."""
    if not len(rows):
        return []
    joined = asked_of(weights, embedding, one).joined
    pairs = [_Pair(market, embedding, one, joined, row) for row in rows.tolist()]
    removals = [[Removal(), *_removals(pair)] for pair in pairs]
    counts = [len(mine) for mine in removals]
    utility = utilities_without(
        weights, embedding, one, joined, np.repeat(rows, counts), [*chain.from_iterable(removals)]
    )
    left = np.split(utility, np.cumsum(counts)[:-1])
    return [_strongest(weights, *told) for told in zip(pairs, removals, left, strict=True)]


def _strongest(
    weights: Weights, pair: _Pair, removals: list[Removal], utility: npt.NDArray[np.float64]
) -> list[Reason]:
    """``utility`` is that of the pair as it is, then after each removal."""
    falls, scores = utility[0] - utility[1:], probability(weights, utility).astype(np.float64)
    chosen = [place for place in np.argsort(-falls, kind="stable")[:_MOST] if falls[place] >= _LEAST]
    return [_reason(removals[place + 1], pair, float(scores[0]), float(scores[place + 1])) for place in chosen]


def _removals(pair: _Pair) -> list[Removal]:
    homes = pair.embedding.graph.homes
    return [
        *(Removal(precedent=int(past)) for past in _related(pair)),
        *([Removal(rules=True)] if pair.embedding.rules is not None else []),
        *(Removal(offer=kind) for kind in KNOWN if len(row_nodes(pair.joined.about[kind], 0))),
        *(Removal(home=kind) for kind in HOMES if len(row_nodes(homes[kind], pair.row))),
    ]


def _related(pair: _Pair) -> Rows:
    """Precedents that share most with the pair: its receiver or the receiver's class, and the offer's nodes."""
    past, nace = pair.market.precedents, pair.market.receivers.nace[pair.row, 2]
    own = past.receiver == pair.row
    rows = np.flatnonzero(own | ((past.receiver_nace[:, 2] == nace) & (nace >= 0)))
    if not len(rows):
        return rows
    shared: Floats = 2.0 * own[rows] + np.clip(past.vectors[rows] @ pair.offer.vectors[0], 0.0, 1.0)
    for kind in KNOWN:
        if kind != "material":
            nodes = row_nodes(pair.joined.about[kind], 0)
            which, known, _ = row_entries(pair.embedding.graph.about[kind], rows)
            common = np.bincount(which[np.isin(known, nodes)], minlength=len(rows))
            shared = shared + 0.3 * common.astype(np.float32)
    return rows[np.argsort(-shared, kind="stable")[:_PRECEDENTS]]


def _reason(removal: Removal, pair: _Pair, score: float, left: float) -> Reason:
    past, source, lost = pair.market.precedents, "", "it"
    kind: ReasonKind = "precedent"
    if removal.precedent >= 0:
        text = f"The network leans on a precedent: {past.references[removal.precedent].rstrip('.')}"
        source = past.sources[removal.precedent]
    elif removal.rules:
        kind, lost = "rule", "the curated rules"
        text = f"The curated rules lead from such material to what {pair.market.receivers.names[pair.row]} does"
    else:
        kind, sentence = _OFFER_EDGES[removal.offer] if removal.offer else _HOME_EDGES[removal.home]
        text, lost = (
            sentence.format(receiver=pair.market.receivers.names[pair.row], material=_closest(pair)),
            "this tie",
        )
    return Reason(
        text=f"{text}; without {lost} its score falls from {_told(score, left)}.",
        kind=kind,
        source=source,
        engine="gnn",
        strength=score - left,
        detail={"score": score, "score_without": left, "drop": score - left},
    )


def _told(score: float, left: float) -> str:
    """Both scores with as many digits as it takes to see that they differ."""
    digits = next((digits for digits in range(2, 6) if f"{score:.{digits}f}" != f"{left:.{digits}f}"), 6)
    return f"{score:.{digits}f} to {left:.{digits}f}"


def _closest(pair: _Pair) -> str:
    """Name of the material that resembles the offer most."""
    edges = pair.joined.about["material"]
    if not edges.nnz:
        return ""
    node = edges.indices[np.argmax(edges.data)]
    return pair.market.precedents.texts[int(np.argmax(vote_index(pair.market).material == node))]
