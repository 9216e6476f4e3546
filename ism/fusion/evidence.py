"""Out-of-fold evidence: what engines say of pairs that they have not seen, beside what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats, Ints, Rows
from ism.data.votes import reachable
from ism.engines.base import Engine, Snapshot
from ism.engines.training import folds, queries, questions
from ism.fusion.calibration import log_lift

EngineFactory = Callable[[], Engine]
Mask = npt.NDArray[np.bool_]
_FOLDS = 3
_MOST_QUERIES = 300  # a fold; a few numbers need no more
_MOST_RECEIVERS = 1500  # scored a query, a random sample beyond


@dataclass(frozen=True)
class Evidence:
    """``m`` pairs with a known answer, question after question.

    Attributes:
        lifts: engine -> ``[m]`` log lift (`ism.fusion.calibration.log_lift`) that a twin of the engine gave, fitted
            without the pair's fold.
        relevant: ``[m]`` whether the receiver took the offer.
        question: ``[m]`` number of the pair's question, ascending from 0; each has at least one relevant pair.
        group: ``[m]`` cases of one group are no independent evidence.
        fold: ``[m]`` the fold that was left out.
        sector: ``[m]`` whether the question was "which sector?" rather than "which company?".
    """

    lifts: dict[str, Floats]
    relevant: Mask
    question: Ints
    group: Ints
    fold: Ints
    sector: Mask

    def __len__(self) -> int:
        return len(self.relevant)

    def take(self, chosen: Mask) -> Evidence:
        """The pairs where ``chosen`` is set."""
        return Evidence(
            {name: values[chosen] for name, values in self.lifts.items()},
            self.relevant[chosen],
            self.question[chosen],
            self.group[chosen],
            self.fold[chosen],
            self.sector[chosen],
        )


def out_of_fold(snapshot: Snapshot, engines: Mapping[str, EngineFactory], seed: int = 0) -> Evidence:
    """Scores of each query by twins of the engines that were fitted without its group; empty below two groups."""
    asked = queries(snapshot)
    count = min(_FOLDS, len(np.unique(asked.groups)))
    parts: list[Evidence] = []
    if count < 2:
        return _joined(parts, engines)
    rng = np.random.default_rng(seed)
    fold_of = folds(asked.groups, count, seed)
    group_fold = dict(zip(asked.groups.tolist(), fold_of.tolist(), strict=True))
    past_fold = np.asarray([group_fold[group] for group in snapshot.groups.tolist()], dtype=np.int32)
    for fold in range(count):
        kept = np.flatnonzero(past_fold != fold)
        market = snapshot.market.keeping(kept)
        twins = {name: make() for name, make in engines.items()}
        for twin in twins.values():
            twin.fit(Snapshot(market, snapshot.groups[kept]), None, seed)
        known = reachable(market)
        for query in rng.permutation(np.flatnonzero(fold_of == fold))[:_MOST_QUERIES]:
            offer = asked.offers.take(np.asarray([query], dtype=np.intp))
            asking = [
                (takers, _cut(pool, takers, rng)) for takers, pool in questions(market, asked.takers[query], known)
            ]
            if not asking:
                continue
            rows = np.unique(np.concatenate([pool for _, pool in asking]))
            scores = {name: twin.score(market, offer, rows) for name, twin in twins.items()}
            for takers, pool in asking:
                place, size = np.searchsorted(rows, pool), len(pool)
                lifts = {name: log_lift(given[:, place])[0] for name, given in scores.items()}
                numbers = np.tile(np.asarray([[len(parts)], [asked.groups[query]], [fold]], np.int32), size)
                sector = np.full(size, market.receivers.sector[pool[0]])
                parts.append(Evidence(lifts, np.isin(pool, takers), numbers[0], numbers[1], numbers[2], sector))
    return _joined(parts, engines)


def _joined(parts: list[Evidence], engines: Mapping[str, EngineFactory]) -> Evidence:
    numbers, flags = np.zeros(0, np.int32), np.zeros(0, np.bool_)
    return Evidence(
        {name: np.concatenate([np.zeros(0, np.float32), *(part.lifts[name] for part in parts)]) for name in engines},
        np.concatenate([flags, *(part.relevant for part in parts)]),
        np.concatenate([numbers, *(part.question for part in parts)]),
        np.concatenate([numbers, *(part.group for part in parts)]),
        np.concatenate([numbers, *(part.fold for part in parts)]),
        np.concatenate([flags, *(part.sector for part in parts)]),
    )


def _cut(pool: Rows, takers: Rows, rng: np.random.Generator) -> Rows:
    """The receivers of a question, or a random part of very many that keeps the right ones."""
    if len(pool) <= _MOST_RECEIVERS:
        return pool
    return np.union1d(rng.choice(pool, _MOST_RECEIVERS, replace=False), takers).astype(np.intp)
