"""A market embedded by a fitted network: computed once for each market, then only looked up."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ism.data.graph import KNOWN, MarketGraph, Matrix, OfferNodes, market_graph, offer_nodes
from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.engines.gnn.forward import (
    HOMES,
    NODES,
    Edges,
    Ends,
    Weights,
    asked_texts,
    end_states,
    first_states,
    graph_edges,
    linear,
    node_states,
    offer_edges,
    offer_states,
    precedent_states,
)
from ism.engines.gnn.paths import PathIndex, count_paths, distances, of_receivers, path_index
from ism.engines.rules import MarketRules, RuleBook


@dataclass(frozen=True, eq=False)
class Embedding:
    """States of a market's nodes and what the last layer says of its receivers.

    Attributes:
        first: node type -> states before any message.
        precedents: ``[p, width]``.
        heard: node type -> ``[nodes, width]`` messages of the second round.
        lived: ``sector`` and ``place`` -> ``[nodes]`` receivers that are there.
        nodes: node type -> states after the second round.
        ends: of the receivers.
        rules: that lead to the receivers, where the graph has any.
    """

    graph: MarketGraph
    edges: Edges
    index: PathIndex
    first: dict[str, Floats]
    precedents: Floats
    heard: dict[str, Floats]
    lived: dict[str, Rows]
    nodes: dict[str, Floats]
    ends: Ends
    rules: MarketRules | None = None

    @cached_property
    def turned_distance(self) -> Floats:
        """``[len(DISTANCES), n]``: ``ends.distance``, one measure after the other."""
        return np.ascontiguousarray(self.ends.distance.T)

    def told(self, kind: str, precedents: Rows) -> tuple[Rows, Rows]:
        """Which of the precedents speaks to which node of a type; of ``taken``, the sectors of who took it."""
        if kind == "taken":
            takers = self.graph.about["receiver"].indices[precedents]
            return row_entries(self.graph.homes["sector"], takers)[:2]
        return row_entries(self.graph.about[kind], precedents)[:2]


def embed(weights: Weights, market: Market, rules: RuleBook | None = None) -> Embedding:
    """Run the network over a market."""
    graph = market_graph(market)
    edges, asked = graph_edges(graph), asked_texts(weights, graph)
    first = first_states(weights, graph, asked)
    heard = {kind: edges.gather[kind] @ first[kind] for kind in NODES}
    precedents = precedent_states(weights, graph.known, heard)
    told = {kind: edges.spread[kind] @ precedents for kind in edges.spread}
    nodes = {
        kind: node_states(weights, kind, first[kind], told[kind], told["taken"] if kind == "sector" else None)
        for kind in NODES
    }
    heard = {kind: edges.homes[kind] @ nodes[kind] for kind in HOMES}
    ends = end_states(weights, "home", nodes["receiver"], asked, heard)
    index = path_index(graph, market)
    ends = replace(ends, bias=ends.bias + index.popular @ weights["popular"])
    lived = {kind: np.bincount(graph.homes[kind].indices, minlength=graph.homes[kind].shape[1]) for kind in HOMES}
    led = None if rules is None else rules.at(market)
    return Embedding(graph, edges, index, first, precedents, told, lived, nodes, ends, led)


def row_nodes(matrix: Matrix, row: int) -> Rows:
    """Columns of a row."""
    return np.asarray(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]], dtype=np.intp)


def row_entries(matrix: Matrix, rows: Rows) -> tuple[Rows, Rows, Floats]:
    """Of some rows, all that is stored: place of the row in ``rows``, column, and value."""
    starts = matrix.indptr[rows].astype(np.intp)
    counts = matrix.indptr[rows + 1] - starts
    which = np.repeat(np.arange(len(rows), dtype=np.intp), counts)
    at = np.arange(len(which)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    return which, matrix.indices[at].astype(np.intp), matrix.data[at]


def probability(weights: Weights, utility: Floats | npt.NDArray[np.float64]) -> Floats:
    """Scores in 0..1 of utilities: one half where the receivers that took an offer lay on average."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(weights["offset"] - utility, -80.0, 80.0))), dtype=np.float32)


def embed_offers(weights: Weights, market: Embedding, offers: OfferNodes) -> Ends:
    """What the last layer says of offers."""
    edges = offer_edges(offers)
    heard = {kind: edges[kind] @ market.nodes[kind] for kind in KNOWN}
    text = linear(weights, "text", offers.texts)
    return end_states(weights, "offer", offer_states(weights, offers, text), text, heard)


def utilities(weights: Weights, market: Embedding, offers: OfferArrays, rows: Rows | None = None) -> Floats:
    """``[q, n]`` how much each offer and receiver belong together, on the scale of a logit."""
    asked, home = asked_of(weights, market, offers), market.ends
    product, bias = (home.product, home.bias) if rows is None else (home.product[rows], home.bias[rows])
    turned = market.turned_distance if rows is None else market.turned_distance[:, rows]
    out = np.asarray(asked.ends.product @ product.T + bias, dtype=np.float32)
    out += of_receivers(market.index, asked.paths, rows)
    if market.rules is not None:
        out += market.rules.worth(offers, weights["rules"], rows)
    for q in range(len(offers)):
        if np.isfinite(offers.latitude[q] + offers.longitude[q]):
            own = asked.ends.distance[q] + weights["distances"]
            for away, weight, also in zip(distances(market.index, offers, q, rows), turned, own, strict=True):
                out[q] += away * (weight + also)
    return out


@dataclass(frozen=True, slots=True)
class Asked:
    """What the network says of offers in a market, before any receiver is looked at.

    Attributes:
        market, offers: what it is about; the market is held weakly: a thread that rests must not keep an old one alive.
        joined: the offers as nodes.
        ends: the offers' last layer.
        paths: `PathCounts.weighed`.
    """

    market: weakref.ref[Embedding]
    offers: tuple[bytes, ...]
    joined: OfferNodes
    ends: Ends
    paths: Floats


_last = threading.local()  # an offer is proposed for, scored and explained: each thread keeps its last answer


def asked_of(weights: Weights, market: Embedding, offers: OfferArrays) -> Asked:
    """What there is to say of offers before any receiver is looked at."""
    content, last = offers.content(), getattr(_last, "answer", None)
    if isinstance(last, Asked) and last.market() is market and last.offers == content:
        return last
    joined = offer_nodes(market.graph, offers)
    paths = count_paths(market.index, joined).weighed(weights["paths"])
    answer = Asked(weakref.ref(market), content, joined, embed_offers(weights, market, joined), paths)
    _last.answer = answer
    return answer
