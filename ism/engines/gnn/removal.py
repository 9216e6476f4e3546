"""Pairs scored again with an edge or a precedent taken away: exactly what the network says of the graph without it.

Removing something changes only few states: those of the nodes that it was joined to. So only the nodes around a pair
are computed again, for all removals from all pairs of an offer at once; `tests/engines/test_gnn.py` holds the result to
that of a market that was built without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ism.data.graph import KNOWN, LEVELS, Matrix, OfferNodes, alike_weights, closest_materials
from ism.data.market import Floats, OfferArrays, Rows
from ism.engines.gnn.embedding import Embedding, row_entries, row_nodes
from ism.engines.gnn.forward import HOMES, Ends, Weights, end_states, linear, loudness, node_states, offer_states
from ism.engines.gnn.paths import KINDS, distances, log_share


class Removal(NamedTuple):
    """What is taken away: a precedent with all its edges, the pair's own edges to nodes of a type, or rules.

    Attributes:
        precedent: its row, -1 for none.
        offer: type of the nodes that the offer is no longer joined to.
        home: type of the nodes that the receiver is no longer joined to.
        rules: whether no rule leads to the receiver any more.
    """

    precedent: int = -1
    offer: str = ""
    home: str = ""
    rules: bool = False


@dataclass(frozen=True, eq=False)
class _Around:
    """Nodes of a type around the pair of each removal, as many as the pair with the most has.

    Attributes:
        nodes: ``[r, u]``.
        gone: ``[r, u]`` 1 where the removed precedent was joined to the node.
        states: ``[r, u, width]`` after the removal.
    """

    nodes: Rows
    gone: Floats
    states: Floats


def utilities_without(
    weights: Weights,
    market: Embedding,
    offers: OfferArrays,
    joined: OfferNodes,
    rows: Rows,
    removals: Sequence[Removal],
) -> npt.NDArray[np.float64]:
    """``[r]`` utility of the single offer with the receiver at ``rows[r]`` after each removal."""
    pairs = _Pairs(weights, market, joined, rows, removals)
    home, offer = pairs.home(), pairs.offer()
    out = np.einsum("rk,rk->r", home.product, offer.product) + home.bias + pairs.popular() + pairs.paths()
    distinct, back = np.unique(rows, return_inverse=True)
    if market.rules is not None:
        led = market.rules.worth(offers, weights["rules"], distinct)[0, back]
        out = out + led * ~np.asarray([removal.rules for removal in removals], dtype=bool)
    if np.isfinite(offers.latitude[0] + offers.longitude[0]):
        away = distances(market.index, offers, 0, distinct)[:, back]
        out = out + np.einsum("rk,kr->r", home.distance + offer.distance + weights["distances"], away)
    return np.asarray(out, dtype=np.float64)


class _Pairs:
    """An offer with a receiver for each removal, and what is around them without what is removed."""

    def __init__(
        self, weights: Weights, market: Embedding, joined: OfferNodes, rows: Rows, removals: Sequence[Removal]
    ) -> None:
        self.weights, self.market, self.joined, self.rows, self.removals = weights, market, joined, rows, removals
        graph = market.graph
        self.precedents = np.asarray([removal.precedent for removal in removals], dtype=np.intp)
        self.lacking = np.flatnonzero(self.precedents >= 0)  # removals of a precedent, and which
        self.lacked = self.precedents[self.lacking]
        linked = {kind: row_nodes(joined.about[kind], 0) for kind in KNOWN}
        linked["material"] = closest_materials(graph.materials, joined.texts, 1)[0][0]
        self.around = {kind: self._around(kind, np.tile(linked[kind], (len(rows), 1))) for kind in KNOWN}
        self.links = {kind: self._links(kind) for kind in KNOWN}

    def home(self) -> Ends:
        """Last layer of the receivers after each removal."""
        graph, heard = self.market.graph, {}
        for kind in HOMES:
            nodes, known = _padded(graph.homes[kind], self.rows)
            keep = np.asarray([removal.home != kind for removal in self.removals], dtype=np.float32)
            mean = known * keep[:, None] / np.maximum(known.sum(axis=1, keepdims=True), 1.0)
            heard[kind] = np.einsum("ru,ruw->rw", mean, self._around(kind, nodes).states)
        own = self._around("receiver", self.rows[:, None]).states[:, 0]
        distinct, back = np.unique(self.rows, return_inverse=True)
        text = linear(self.weights, "text", graph.asked[distinct] @ graph.needs)[back]
        return end_states(self.weights, "home", own, text, heard)

    def offer(self) -> Ends:
        """Last layer of the offer after each removal."""
        heard = {}
        for kind in KNOWN:
            links = self.links[kind]
            mean = links if kind == "material" else links / np.maximum(links.sum(axis=1, keepdims=True), 1.0)
            heard[kind] = np.einsum("ru,ruw->rw", mean, self.around[kind].states)
        text = linear(self.weights, "text", self.joined.texts)
        own = offer_states(self.weights, self.joined, text)
        times = len(self.removals)
        return end_states(self.weights, "offer", np.repeat(own, times, axis=0), np.repeat(text, times, axis=0), heard)

    def popular(self) -> Floats:
        """What the receivers' and their sectors' shares of all precedents are worth."""
        index, edges = self.market.index, self.market.edges
        taken = np.append(edges.degree("taken"), np.float32(0.0))
        sectors = taken[np.minimum(index.sector_of[:, self.rows] - len(index.points), len(taken) - 1)]
        counts = np.concatenate([edges.degree("receiver")[None, self.rows], sectors]).T
        total = np.full(len(self.removals), self.market.graph.about["receiver"].shape[0], dtype=np.float32)
        total[self.lacking] -= 1.0
        shares = log_share(counts - self._ends(), total[:, None])
        return np.asarray(shares @ self.weights["popular"], dtype=np.float32)

    def paths(self) -> Floats:
        """What the counted paths are worth."""
        index, worth = self.market.index, self.weights["paths"].reshape(len(KINDS), -1)
        columns = np.concatenate([self.rows[None], index.sector_of[:, self.rows]]).T
        ends, out = self._ends(), np.zeros(len(self.removals), dtype=np.float32)
        blind = np.asarray([removal.home == "sector" for removal in self.removals], dtype=bool)
        for kind in LEVELS:
            around, links = self.around[kind], self.links[kind]
            nodes = around.nodes[0] + index.first[kind]  # every pair has those of the offer
            led = np.moveaxis(_entries(index.counts, nodes, columns), 0, 1)
            counts = led - around.gone[:, :, None] * ends[:, None, :]
            totals = index.totals[nodes][None] - around.gone
            for level in np.unique(index.kind[nodes]):
                mine = links * (index.kind[nodes] == level)
                shares = log_share(np.einsum("ru,rue->re", mine, counts), (mine * totals).sum(axis=1)[:, None])
                shares[blind, 1:] = 0.0
                out += shares @ worth[level]
        return out

    def _ends(self) -> Floats:
        """``[r, 4]`` 1 where the removed precedent went to the receiver, or to its division, group or class."""
        index, rows = self.market.index, self.rows[self.lacking]
        out = np.zeros((len(self.removals), 1 + len(index.sector_of)), dtype=np.float32)
        takers = self.market.graph.about["receiver"].indices[self.lacked]
        own, its = index.sector_of[:, rows], index.sector_of[:, takers]
        out[self.lacking, 0] = takers == rows
        out[self.lacking, 1:] = ((own == its) & (own < index.counts.shape[1])).T
        return out

    def _around(self, kind: str, nodes: Rows) -> _Around:
        gone = self._joined(kind, nodes)
        also = self._told("taken", nodes, self._joined("taken", nodes)) if kind == "sector" else None
        states = node_states(self.weights, kind, self.market.first[kind][nodes], self._told(kind, nodes, gone), also)
        return _Around(nodes, gone, states)

    def _told(self, kind: str, nodes: Rows, gone: Floats) -> Floats:
        """``[r, u, width]`` messages from the precedents that are left."""
        degree = self.market.edges.degree(kind)[nodes]
        left = self.market.heard[kind][nodes] / np.maximum(loudness(degree), 1e-12)[:, :, None]
        if len(self.lacking):
            left = left - gone[:, :, None] * self.market.precedents[np.maximum(self.precedents, 0)][:, None, :]
        return np.asarray(left * loudness(degree - gone)[:, :, None], dtype=np.float32)

    def _joined(self, kind: str, nodes: Rows) -> Floats:
        """``[r, u]`` 1 where the removed precedent speaks to the node."""
        out = np.zeros(nodes.shape, dtype=np.float32)
        which, told = self.market.told(kind, self.lacked)
        entry, place = np.nonzero(nodes[self.lacking[which]] == told[:, None])
        out[self.lacking[which[entry]], place] = 1.0
        return out

    def _links(self, kind: str) -> Floats:
        """``[r, u]`` weights of the offer's edges; a node that only the removed precedent knew is gone with it."""
        around, graph = self.around[kind], self.market.graph
        alone = self.market.edges.degree(kind)[around.nodes] - around.gone <= 0
        if kind in graph.homes:
            alone &= self.market.lived[kind][around.nodes] == 0
        if kind == "material":
            links = alike_weights(graph.materials[around.nodes[0]], self.joined.texts, alone)
        else:
            links = (~alone).astype(np.float32)
        links[np.asarray([removal.offer == kind for removal in self.removals], dtype=bool)] = 0.0
        return np.asarray(links, dtype=np.float32)


def _padded(matrix: Matrix, rows: Rows) -> tuple[Rows, Floats]:
    """``[r, u]`` columns of some rows, as many as the fullest has, and 1 where there is one (else node 0)."""
    which, nodes, _ = row_entries(matrix, rows)
    count = np.bincount(which, minlength=len(rows))
    known = np.arange(count.max(initial=0)) < count[:, None]
    out = np.zeros(known.shape, dtype=np.intp)
    out[known] = nodes
    return out, known.astype(np.float32)


def _entries(matrix: Matrix, rows: Rows, columns: Rows) -> Floats:
    """``[u, *columns.shape]`` values of some rows in some columns; 0 in a column that there is none of."""
    distinct, back = np.unique(columns, return_inverse=True)
    which, column, value = row_entries(matrix, rows)
    at = np.minimum(np.searchsorted(distinct, column), len(distinct) - 1)
    asked = distinct[at] == column
    out = np.zeros((len(rows), len(distinct)), dtype=np.float32)
    out[which[asked], at[asked]] = value[asked]
    return out[:, back.reshape(columns.shape)]
