"""A pair scored again with an edge or a precedent taken away: exactly what the network says of the graph without it.

Removing something changes only few states: those of the nodes that it was joined to. So only the nodes around the pair
are computed again, for all removals at once; `tests/engines/test_gnn_removal.py` holds the result to that of a market
that was built without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ism.data.graph import KNOWN, LEVELS, OfferNodes, alike_weights, closest_materials
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
    """Nodes of a type around the pair, for each removal.

    Attributes:
        nodes: ``[u]``.
        gone: ``[r, u]`` 1 where the removed precedent was joined to the node.
        states: ``[r, u, width]`` after the removal.
    """

    nodes: Rows
    gone: Floats
    states: Floats


def utilities_without(
    weights: Weights, market: Embedding, offers: OfferArrays, joined: OfferNodes, row: int, removals: Sequence[Removal]
) -> npt.NDArray[np.float64]:
    """``[r]`` utility of the single offer with the receiver at ``row`` after each removal."""
    pair = _Pair(weights, market, joined, row, removals)
    home, offer = pair.home(), pair.offer()
    out = np.einsum("rk,rk->r", home.product, offer.product) + home.bias + pair.popular() + pair.paths()
    if market.rules is not None:
        led = market.rules.worth(offers, weights["rules"], np.asarray([row], dtype=np.intp))[0, 0]
        out = out + led * ~np.asarray([removal.rules for removal in removals])
    if np.isfinite(offers.latitude[0] + offers.longitude[0]):
        away = distances(market.index, offers, 0, np.asarray([row], dtype=np.intp))[:, 0]
        out = out + (home.distance + offer.distance + weights["distances"]) @ away
    return np.asarray(out, dtype=np.float64)


class _Pair:
    """An offer and a receiver, and what is around them without what is removed."""

    def __init__(
        self, weights: Weights, market: Embedding, joined: OfferNodes, row: int, removals: Sequence[Removal]
    ) -> None:
        self.weights, self.market, self.joined, self.row, self.removals = weights, market, joined, row, removals
        graph = market.graph
        precedents = np.asarray([removal.precedent for removal in removals], dtype=np.intp)
        self.lacking = np.flatnonzero(precedents >= 0)  # removals of a precedent, and which
        self.lacked = precedents[self.lacking]
        self.own_homes = {kind: row_nodes(graph.homes[kind], row) for kind in HOMES}
        linked = {kind: row_nodes(joined.about[kind], 0) for kind in KNOWN}
        linked["material"] = closest_materials(graph.materials, joined.texts, 1)[0][0]
        self.around = {
            kind: self._around(kind, np.union1d(linked[kind], self.own_homes.get(kind, linked[kind])).astype(np.intp))
            for kind in KNOWN
        }
        self.links = {kind: self._links(kind, linked[kind]) for kind in KNOWN}

    def home(self) -> Ends:
        """Last layer of the receiver after each removal."""
        own = self._around("receiver", np.asarray([self.row], dtype=np.intp)).states[:, 0]
        heard = {}
        for kind in HOMES:
            keep = np.asarray([removal.home != kind for removal in self.removals], dtype=np.float32)
            at = np.searchsorted(self.around[kind].nodes, self.own_homes[kind])
            heard[kind] = self.around[kind].states[:, at].sum(axis=1) * keep[:, None] / max(len(at), 1)
        graph = self.market.graph
        text = linear(self.weights, "text", graph.asked[self.row : self.row + 1] @ graph.needs)
        return end_states(self.weights, "home", own, np.repeat(text, len(self.removals), axis=0), heard)

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
        """What the receiver's and its sectors' shares of all precedents are worth."""
        took = self.market.graph.about["receiver"]
        counts = np.asarray(
            [self.market.edges.degree("receiver")[self.row], *self._sector_values(self.market.edges.degree("taken"))]
        )
        total = np.full(len(self.removals), took.shape[0], dtype=np.float32)
        total[self.lacking] -= 1.0
        shares = log_share(counts[None, :] - self._ends(), total[:, None])
        return np.asarray(shares @ self.weights["popular"], dtype=np.float32)

    def paths(self) -> Floats:
        """What the counted paths are worth."""
        index, worth = self.market.index, self.weights["paths"].reshape(len(KINDS), -1)
        columns = np.asarray([self.row, *index.sector_of[:, self.row]])
        ends, out = self._ends(), np.zeros(len(self.removals), dtype=np.float32)
        blind = np.asarray([removal.home == "sector" for removal in self.removals])
        for kind in LEVELS:
            around, links = self.around[kind], self.links[kind]
            nodes = around.nodes + index.first[kind]
            padded = np.zeros((len(nodes), len(columns)), dtype=np.float32)
            inside = columns < index.counts.shape[1]
            which, ends_at, count = row_entries(index.counts, nodes)
            for end in np.flatnonzero(inside):
                here = ends_at == columns[end]
                padded[which[here], end] = count[here]
            counts = padded[None] - around.gone[:, :, None] * ends[:, None, :]
            totals = index.totals[nodes][None] - around.gone
            for level in np.unique(index.kind[nodes]):
                mine = links * (index.kind[nodes] == level)
                shares = log_share(np.einsum("ru,rue->re", mine, counts), (mine * totals).sum(axis=1)[:, None])
                shares[blind, 1:] = 0.0
                out += shares @ worth[level]
        return out

    def _ends(self) -> Floats:
        """``[r, 4]`` 1 where the removed precedent went to the receiver, or to its division, group or class."""
        graph, index = self.market.graph, self.market.index
        out = np.zeros((len(self.removals), 1 + len(index.sector_of)), dtype=np.float32)
        takers = graph.about["receiver"].indices[self.lacked]
        own, its = index.sector_of[:, self.row, None], index.sector_of[:, takers]
        out[self.lacking, 0] = takers == self.row
        out[self.lacking, 1:] = ((own == its) & (own < index.counts.shape[1])).T
        return out

    def _sector_values(self, values: Floats) -> Floats:
        of = self.market.index.sector_of[:, self.row] - len(self.market.index.points)
        return np.append(values, np.float32(0.0))[np.minimum(of, len(values))]

    def _around(self, kind: str, nodes: Rows) -> _Around:
        gone = self._joined(kind, nodes)
        own = np.repeat(self.market.first[kind][nodes][None], len(self.removals), axis=0)
        also = self._told("taken", nodes, self._joined("taken", nodes)) if kind == "sector" else None
        states = node_states(self.weights, kind, own, self._told(kind, nodes, gone), also)
        return _Around(nodes, gone, states)

    def _told(self, kind: str, nodes: Rows, gone: Floats) -> Floats:
        """``[r, u, width]`` messages from the precedents that are left."""
        degree = self.market.edges.degree(kind)[nodes]
        whole = self.market.heard[kind][nodes] / np.maximum(loudness(degree), 1e-12)[:, None]
        rows = np.asarray([max(removal.precedent, 0) for removal in self.removals], dtype=np.intp)
        lost = (
            self.market.precedents[rows]
            if len(self.market.precedents)
            else np.zeros((len(rows), whole.shape[1]), np.float32)
        )
        left = whole[None] - gone[:, :, None] * lost[:, None, :]
        return np.asarray(left * loudness(degree[None] - gone)[:, :, None], dtype=np.float32)

    def _joined(self, kind: str, nodes: Rows) -> Floats:
        """``[r, u]`` 1 where the removed precedent speaks to the node."""
        out = np.zeros((len(self.removals), len(nodes)), dtype=np.float32)
        which, told = self.market.told(kind, self.lacked)
        at = np.minimum(np.searchsorted(nodes, told), max(len(nodes) - 1, 0))
        if len(nodes):
            here = nodes[at] == told
            out[self.lacking[which[here]], at[here]] = 1.0
        return out

    def _links(self, kind: str, linked: Rows) -> Floats:
        """``[r, u]`` weights of the offer's edges; a node that only the removed precedent knew is gone with it."""
        around, graph = self.around[kind], self.market.graph
        alone = self.market.edges.degree(kind)[around.nodes][None] - around.gone <= 0
        if kind in graph.homes:
            alone &= (self.market.lived[kind][around.nodes] == 0)[None]
        if kind == "material":
            links = alike_weights(graph.materials[around.nodes], self.joined.texts, alone)
        else:
            links = np.isin(around.nodes, linked).astype(np.float32)[None] * ~alone
        links[np.asarray([removal.offer == kind for removal in self.removals], dtype=bool)] = 0.0
        return np.asarray(links, dtype=np.float32)
