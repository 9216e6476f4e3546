"""From precedents to a ranking problem, without letting a case teach about itself.

Precedents are turned into queries (what was offered, from where) with the receivers that took it. Each query is
described in a market from which its whole fold has been taken out, so that at training time an engine sees what it will
see later: an offer that nobody has placed yet. Leaving out only the query's own rows would not do: a receiver with a
single precedent would then have none, and "has none" would mean "is the answer".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats, Ints, Market, OfferArrays, Precedents, Rows
from ism.data.votes import reachable
from ism.engines.base import Snapshot

Describer = Callable[[OfferArrays, Rows | None], Floats]
Describe = Callable[[Market], Describer]


@dataclass(frozen=True)
class Queries:
    """Distinct offers among the precedents: their columns, group, and the receivers that took them."""

    offers: OfferArrays
    groups: Ints
    takers: list[Rows]


@dataclass(frozen=True)
class RankingProblem:
    """Pairs to learn from, query after query.

    Attributes:
        features: ``[pairs, f]``.
        relevant: ``[pairs]`` whether the receiver took the offer.
        sizes: pairs of each query; each query has at least one relevant pair.
    """

    features: Floats
    relevant: npt.NDArray[np.bool_]
    sizes: Ints


def queries(snapshot: Snapshot) -> Queries:
    """Distinct offers among the precedents, in order of first appearance."""
    past = snapshot.market.precedents
    keys: dict[tuple[object, ...], list[int]] = {}
    for row in range(len(past)):
        key = (
            int(snapshot.groups[row]),
            past.texts[row],
            *past.ewc[row].tolist(),
            *past.donor_nace[row].tolist(),
            str(past.latitude[row]),
            str(past.longitude[row]),
        )
        keys.setdefault(key, []).append(row)
    first = np.asarray([rows[0] for rows in keys.values()], dtype=np.intp)
    takers = [np.unique(past.receiver[rows]) for rows in keys.values()]
    return Queries(_offers(past, first), snapshot.groups[first], takers)


def _offers(past: Precedents, rows: Rows) -> OfferArrays:
    unknown = np.full(len(rows), np.nan, dtype=np.float32)
    return OfferArrays(
        past.vectors[rows], past.ewc[rows], past.donor_nace[rows], past.latitude[rows], past.longitude[rows], unknown
    )


def folds(groups: Ints, count: int, seed: int) -> Ints:
    """``[q]`` fold of each group's members: whole groups, spread evenly by size, in 0..count-1."""
    names, sizes = np.unique(groups, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    load = np.zeros(max(count, 1), dtype=np.int64)
    fold_of = np.zeros(len(names), dtype=np.int32)
    for name in order:
        fold_of[name] = int(np.argmin(load))
        load[fold_of[name]] += sizes[name]
    return np.asarray(fold_of[np.searchsorted(names, groups)], dtype=np.int32)


def ranking_problem(
    snapshot: Snapshot, describe: Describe, hardness: int, seed: int, *, max_queries: int = 6000, max_pairs: int = 120
) -> RankingProblem | None:
    """Cross-fitted pairs, or None where there is nothing to learn from (fewer than two groups).

    Args:
        snapshot: precedents and their groups.
        describe: a market -> a function that describes offers in it, ``[q, n, f]``.
        hardness: column whose largest values make a wrong receiver hard to tell from the right one.
        seed: of folds and of the sample.
        max_queries: queries used at most, a random sample beyond.
        max_pairs: receivers kept a query: those that took it, the hardest, and a random rest.
    """
    asked = queries(snapshot)
    count = min(5, len(np.unique(asked.groups)))
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(asked.takers))[:max_queries])
    fold_of = folds(asked.groups, count, seed)
    group_fold = dict(zip(asked.groups.tolist(), fold_of.tolist(), strict=True))
    precedent_fold = np.asarray([group_fold[group] for group in snapshot.groups.tolist()], dtype=np.int32)
    features: list[Floats] = []
    relevant: list[npt.NDArray[np.bool_]] = []
    for fold in range(count):
        market = snapshot.market.keeping(np.flatnonzero(precedent_fold != fold))
        known, describer = reachable(market), describe(market)
        for start in range(0, len(mine := chosen[fold_of[chosen] == fold]), 64):
            block = mine[start : start + 64]
            described = describer(asked.offers.take(block), None)
            for row, query in zip(described, block, strict=True):
                for takers, pool in questions(market, asked.takers[query], known):
                    pairs = _pairs(row[:, hardness], takers, pool, max_pairs, rng)
                    features.append(row[pairs])
                    relevant.append(np.isin(pairs, takers))
    if not features:
        return None
    sizes = np.asarray([len(rows) for rows in features], dtype=np.int32)
    return RankingProblem(np.concatenate(features), np.concatenate(relevant), sizes)


def questions(market: Market, takers: Rows, known: npt.NDArray[np.bool_]) -> list[tuple[Rows, Rows]]:
    """What one query asks: which of the companies, and which of the sectors.

    They are two questions, since no sector ever "took" anything: put among companies it would only be a wrong answer.

    Args:
        market: whose receivers are asked about.
        takers: receivers that took the offer.
        known: ``[n]`` receivers of whom anything is known.

    Returns:
        pairs of (right rows, all rows), each right row among all; questions without a right row are left out.
    """
    home = market.receivers
    classes = home.nace[takers, 2][~home.sector[takers]]
    own = np.isin(home.nace[:, 2], classes[classes >= 0])
    took = np.zeros(len(home), dtype=bool)
    took[takers] = True
    asked = []
    for pool, right in ((known & ~home.sector, took), (known & home.sector, took | own)):
        rows = np.flatnonzero(pool & right)
        if len(rows):
            asked.append((rows, np.flatnonzero(pool)))
    return asked


def _pairs(hardness: Floats, takers: Rows, pool: Rows, limit: int, rng: np.random.Generator) -> Rows:
    """Receivers to learn from for one question: the right ones, the hardest others, and a random rest."""
    others = np.setdiff1d(pool, takers)
    if len(others) > limit:
        hard = others[np.argsort(-hardness[others], kind="stable")[: limit // 2]]
        rest = rng.choice(np.setdiff1d(others, hard), limit - len(hard), replace=False)
        others = np.concatenate([hard, rest])
    return np.sort(np.concatenate([takers, others])).astype(np.intp)
