"""Engines fitted, calibrated out of fold and fused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.votes import reachable
from ism.engines.base import Engine, Snapshot
from ism.engines.training import folds, queries, questions
from ism.fusion.calibration import Calibration, fit_calibration, log_lift
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS, agreement, weighted_sum

EngineFactory = Callable[[], Engine]
_FOLDS = 3
_MOST_QUERIES = 300  # a fold; two numbers need no more
_MOST_RECEIVERS = 1500  # scored a query when calibrating, a random sample beyond


@dataclass(frozen=True)
class FusedScores:
    """Scores of ``q`` offers with ``n`` receivers; every array is ``[q, n]`` in 0..1.

    Attributes:
        contributions: by engine; they add up to ``final``.
        probabilities: calibrated, by engine.
    """

    final: Floats
    confidence: Floats
    contributions: dict[str, Floats]
    probabilities: dict[str, Floats]


@dataclass
class FittedFusion:
    """Engines that answer together."""

    engines: dict[str, Engine]
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> FusedScores:
        """Fused scores of each offer with the receivers at ``rows`` (all by default)."""
        scores = {name: engine.score(market, offers, rows) for name, engine in self.engines.items()}
        probabilities = {
            name: open_world(market, given, rows, self.calibrations.get(name, Calibration()))
            for name, given in scores.items()
        }
        final, contributions = weighted_sum(probabilities, self.weights)
        return FusedScores(final, agreement(probabilities, self.weights), contributions, probabilities)


def open_world(market: Market, scores: Floats, rows: Rows | None, calibration: Calibration) -> Floats:
    """Calibrated probabilities of companies and sectors that can stand in one list.

    Companies are compared with companies and sectors with sectors. But someone always comes first among the listed
    companies, even when none of them could use the offer. So a company's probability is the geometric mean of its own
    and its sector's: it must stand out among the companies, *and* its sector among all sectors. Where no sectors were
    scored, or only sectors, each kind's own probability is kept.

    Args:
        market: whose receivers were scored.
        scores: ``[q, n]`` of one engine.
        rows: ``[n]`` the receivers, all when None.
        calibration: of the engine.
    """
    home = market.receivers
    rows = np.arange(len(home), dtype=np.intp) if rows is None else rows
    sector = home.sector[rows]
    out = np.zeros_like(scores)
    for kind in (sector, ~sector):
        if kind.any():
            out[:, kind] = calibration(scores[:, kind])
    if sector.any() and not sector.all():
        classes, place = np.unique(home.nace[rows[sector], 2], return_index=True)
        known = np.concatenate([out[:, sector][:, place], out[:, sector].min(axis=1, keepdims=True)], axis=1)
        own = home.nace[rows[~sector], 2]
        found = np.minimum(np.searchsorted(classes, own), len(classes) - 1)
        found = np.where((classes[found] == own) & (own >= 0), found, len(classes))  # unscored: as weak as the weakest
        out[:, ~sector] = np.sqrt(out[:, ~sector] * known[:, found])
    return out


def fit_fusion(snapshot: Snapshot, engines: Mapping[str, EngineFactory], seed: int = 0) -> FittedFusion:
    """Fit every engine on all of the snapshot, and its calibration on folds that a twin of it did not see."""
    fitted, calibrations = {}, {}
    for name, make in engines.items():
        calibrations[name] = calibrate(snapshot, make, seed)
        engine = make()
        engine.fit(snapshot, None, seed)
        fitted[name] = engine
    return FittedFusion(fitted, calibrations)


def calibrate(snapshot: Snapshot, make: EngineFactory, seed: int = 0) -> Calibration:
    """Calibration of an engine from out-of-fold scores; identity where there are fewer than two groups."""
    asked = queries(snapshot)
    count = min(_FOLDS, len(np.unique(asked.groups)))
    if count < 2:
        return Calibration()
    rng = np.random.default_rng(seed)
    fold_of = folds(asked.groups, count, seed)
    group_fold = dict(zip(asked.groups.tolist(), fold_of.tolist(), strict=True))
    past_fold = np.asarray([group_fold[group] for group in snapshot.groups.tolist()], dtype=np.int32)
    shares: list[Floats] = []
    relevant: list[Floats] = []
    for fold in range(count):
        kept = np.flatnonzero(past_fold != fold)
        market = snapshot.market.keeping(kept)
        twin = make()
        twin.fit(Snapshot(market, snapshot.groups[kept]), None, seed)
        known = reachable(market)
        mine = rng.permutation(np.flatnonzero(fold_of == fold))[:_MOST_QUERIES]
        for query in mine:
            offer = asked.offers.take(np.asarray([query], dtype=np.intp))
            asking = [
                (takers, _cut(pool, takers, rng)) for takers, pool in questions(market, asked.takers[query], known)
            ]
            if not asking:
                continue
            rows = np.unique(np.concatenate([pool for _, pool in asking]))
            scores = twin.score(market, offer, rows)
            for takers, pool in asking:
                shares.append(log_lift(scores[:, np.searchsorted(rows, pool)])[0])
                relevant.append(np.isin(pool, takers).astype(np.float32))
    return fit_calibration(np.concatenate(shares), np.concatenate(relevant)) if shares else Calibration()


def _cut(pool: Rows, takers: Rows, rng: np.random.Generator) -> Rows:
    """The receivers of a question, or a random part of very many that keeps the right ones."""
    if len(pool) <= _MOST_RECEIVERS:
        return pool
    return np.union1d(rng.choice(pool, _MOST_RECEIVERS, replace=False), takers).astype(np.intp)
