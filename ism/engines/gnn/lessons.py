"""What the network is taught: folds of offers, each asked in a market that its fold has been taken out of.

As in `ism.engines.training`, no case teaches about itself, and companies and sectors are two questions. Right receivers
compete with all others where these are few; else with those that are hard to tell from them (in the same region, as
popular) and with a random rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from ism.data.graph import MarketGraph, OfferNodes, market_graph, offer_nodes
from ism.data.market import Floats, Market, OfferArrays, Rows, top_rows
from ism.data.votes import reachable
from ism.engines.base import Snapshot
from ism.engines.gnn.forward import Edges, graph_edges
from ism.engines.gnn.paths import PathIndex, count_paths, distances, path_index
from ism.engines.rules import MarketRules, RuleBook
from ism.engines.training import folds, queries, questions

_FOLDS = 5
_MOST_QUERIES = 6000
MOST_RECEIVERS = 2048  # that compete at a time
BATCH = 512  # offers taught at a time
_NEAREST, _AS_POPULAR = 2, 2


@dataclass(frozen=True, eq=False)
class Lesson:
    """The offers of one fold in the market without them.

    Attributes:
        market: without the precedents of the fold; ``graph``, ``edges`` and ``index`` are its.
        offers: ``q`` offers; ``joined`` the same as nodes.
        right: for companies and for sectors ``[q, n]`` share of each right receiver; rows add up to 1 or are empty.
        pools: for companies and for sectors, rows that may be right.
        hard: ``[q, k]`` receivers that are hard to tell from the right ones.
        rules: that lead to receivers, where the graph has any.
    """

    market: Market
    graph: MarketGraph
    edges: Edges
    index: PathIndex
    offers: OfferArrays
    joined: OfferNodes
    right: tuple[sparse.csr_matrix, sparse.csr_matrix]
    pools: tuple[Rows, Rows]
    hard: Rows
    rules: MarketRules | None = None

    def __len__(self) -> int:
        return len(self.offers)

    @cached_property
    def everybody(self) -> Rows:
        """Rows that may be right."""
        return np.union1d(*self.pools).astype(np.intp)

    @cached_property
    def live(self) -> Rows:
        """Columns of paths that lead anywhere in this market."""
        return self.index.live

    @property
    def pools_everybody(self) -> bool:
        """Whether all receivers compete for every offer."""
        return len(self.everybody) <= MOST_RECEIVERS

    def pool(self, batch: Rows, rng: np.random.Generator) -> Rows:
        """Receivers that compete for the offers of a batch, ascending."""
        if self.pools_everybody:
            return self.everybody
        right = np.concatenate([self.right[kind][batch].indices for kind in range(2)])
        chosen = np.union1d(right, self.hard[batch].ravel())
        rest = max(MOST_RECEIVERS - len(chosen), MOST_RECEIVERS // 4)
        return np.union1d(chosen, rng.choice(self.everybody, rest, replace=False)).astype(np.intp)

    def pair_columns(self, batch: Rows, pool: Rows) -> tuple[Floats, Floats]:
        """Counted paths ``[q, n, len(live)]`` and distances ``[q, k, n]`` of each pair."""
        paths = count_paths(self.index, self.joined.take(batch)).columns(pool, self.live)
        return paths, np.stack([distances(self.index, self.offers, int(q), pool) for q in batch])


def lessons(snapshot: Snapshot, seed: int, rules: RuleBook | None = None) -> list[Lesson]:
    """One lesson for each fold; none where there are fewer than two groups."""
    asked = queries(snapshot)
    count = min(_FOLDS, len(np.unique(asked.groups)))
    if count < 2:
        return []
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(asked.takers))[:_MOST_QUERIES])
    fold_of = folds(asked.groups, count, seed)
    group_fold = dict(zip(asked.groups.tolist(), fold_of.tolist(), strict=True))
    past_fold = np.asarray([group_fold[group] for group in snapshot.groups.tolist()], dtype=np.int32)
    found = []
    for fold in range(count):
        mine = chosen[fold_of[chosen] == fold]
        market = snapshot.market.keeping(np.flatnonzero(past_fold != fold))
        lesson = _lesson(market, asked.offers.take(mine), [asked.takers[query] for query in mine], rng)
        if lesson is not None:
            found.append(lesson if rules is None else replace(lesson, rules=rules.at(market)))
    return found


def _lesson(market: Market, offers: OfferArrays, takers: list[Rows], rng: np.random.Generator) -> Lesson | None:
    known, sector = reachable(market), market.receivers.sector
    right: tuple[list[Rows], list[Rows]] = ([], [])
    for took in takers:
        asked = {bool(sector[rows[0]]): rows for rows, _ in questions(market, took, known)}
        for kind in range(2):
            right[kind].append(asked.get(bool(kind), np.zeros(0, np.intp)))
    keep = np.asarray([q for q in range(len(takers)) if len(right[0][q]) + len(right[1][q])], dtype=np.intp)
    if not len(keep):
        return None
    offers, graph = offers.take(keep), market_graph(market)
    index, joined = path_index(graph, market), offer_nodes(graph, offers)
    size = len(market.receivers)
    pools = np.flatnonzero(known & ~sector).astype(np.intp), np.flatnonzero(known & sector).astype(np.intp)
    shares = tuple(_shares([right[kind][q] for q in keep], size) for kind in range(2))
    hard = _hard(market, index, offers, [right[0][q] for q in keep], pools[0], rng)
    return Lesson(market, graph, graph_edges(graph), index, offers, joined, (shares[0], shares[1]), pools, hard)


def _shares(rows: list[Rows], size: int) -> sparse.csr_matrix:
    counts = np.asarray([len(mine) for mine in rows])
    share = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return sparse.csr_matrix((share, np.concatenate(rows), starts), shape=(len(rows), size))


def _hard(
    market: Market, index: PathIndex, offers: OfferArrays, takers: list[Rows], firms: Rows, rng: np.random.Generator
) -> Rows:
    """Companies in the offer's region, and companies that are as popular as a right one."""
    out = np.zeros((len(offers), _NEAREST + _AS_POPULAR), dtype=np.intp)
    if len(firms) <= MOST_RECEIVERS:
        return out[:, :0]
    degree = np.bincount(market.precedents.receiver, minlength=len(market.receivers))
    by_degree = firms[np.argsort(degree[firms], kind="stable")]
    for q, took in enumerate(takers):
        away = distances(index, offers, q, firms)[-2]
        out[q, :_NEAREST] = firms[top_rows(-away, _NEAREST)]
        rank = np.searchsorted(degree[by_degree], degree[took[0]]) if len(took) else rng.integers(len(firms))
        near = np.clip(rank + rng.integers(-20, 21, _AS_POPULAR), 0, len(firms) - 1)
        out[q, _NEAREST:] = by_degree[near]
    return out
