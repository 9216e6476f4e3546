"""Scoring of an engine on cases that it did not learn from, fold by fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ism.data.market import Floats, Ints, Rows
from ism.data.votes import reachable
from ism.domain.errors import EngineError
from ism.engines.base import Engine, ParamValue, Snapshot
from ism.engines.metrics import Values, metric
from ism.engines.training import folds, queries, questions

FOLDS = 3
_BLOCK = 64  # queries scored at a time
_MOST_QUERIES = 300  # scored a fold, a random sample beyond
_MOST_RECEIVERS = 1500  # compared in a question, a random sample beyond that keeps the right ones


@dataclass(frozen=True)
class Fold:
    """Rows of precedents: what is learnt from, and what is asked about."""

    kept: Rows
    asked: Rows


@dataclass(frozen=True)
class FoldScore:
    """How an engine did on one fold.

    Attributes:
        value: mean of the metric over the questions, 0..1.
        questions: how many there were.
        fit_seconds: time that `Engine.fit` took, in seconds.
    """

    value: float
    questions: int
    fit_seconds: float


def split_folds(snapshot: Snapshot, count: int, seed: int) -> list[Fold]:
    """Folds of whole groups; in order of time where times are known.

    With times, the groups are cut by when they were last active into ``count + 1`` runs, and each run but the first is
    asked about with what was known before it began (rolling origin; Tashman 2000, "Out-of-sample tests of forecasting
    accuracy"). Without times, groups are spread over ``count`` folds by chance.

    Returns:
        at most ``count`` folds; fewer where there are fewer groups, none where nothing can be held out.
    """
    if snapshot.times is not None and np.isfinite(snapshot.times).any():
        return _by_time(snapshot.groups, snapshot.times, count)
    count = min(count, len(np.unique(snapshot.groups)))
    if count < 2:
        return []
    fold_of = folds(snapshot.groups, count, seed)
    return [Fold(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(count)]


def taking(snapshot: Snapshot, rows: Rows) -> Snapshot:
    """The snapshot with only the precedents at ``rows`` (ascending)."""
    times = None if snapshot.times is None else snapshot.times[rows]
    return Snapshot(snapshot.market.keeping(rows), snapshot.groups[rows], times)


def fold_scores(
    snapshot: Snapshot,
    make: Callable[[], Engine],
    params: Mapping[str, ParamValue],
    named: str = "accuracy",
    seed: int = 0,
    fitting: Callable[[bool], None] | None = None,
) -> Iterator[FoldScore]:
    """Fit a new engine on each fold's other part and score it on the fold.

    Args:
        snapshot: what may be learnt from.
        make: builds the engine.
        params: of `Engine.fit`.
        named: the metric, as in `ism.engines.metrics.METRICS`.
        seed: of folds, samples and fits.
        fitting: told True when a fit begins and False when it is over.

    Raises:
        EngineError: there are too few groups to hold any out.
    """
    measure, parts = metric(named), split_folds(snapshot, FOLDS, seed)
    if not parts:
        raise EngineError("There are fewer than two groups of precedents; nothing can be held out. Add exchanges.")
    for part in parts:
        learnt, engine = taking(snapshot, part.kept), make()
        tell = fitting or (lambda begun: None)
        tell(True)
        started = time.perf_counter()
        engine.fit(learnt, params, seed)
        seconds = time.perf_counter() - started
        tell(False)
        values = question_values(engine, learnt, taking(snapshot, part.asked), measure, seed)
        if values:
            yield FoldScore(float(np.mean(values)), len(values), seconds)


def question_values(
    engine: Engine, learnt: Snapshot, held: Snapshot, measure: Callable[[Values | Floats, Rows], float], seed: int
) -> list[float]:
    """The metric of each question about held-out precedents that the learnt market can answer at all.

    Args:
        engine: fitted on ``learnt``.
        learnt: its receivers are the candidates.
        held: precedents among the same receivers, of groups that ``learnt`` does not have.
        measure: of one question, from `ism.engines.metrics`.
        seed: of the sample, where there is very much to ask.
    """
    asked = queries(held)
    market, rng = learnt.market, np.random.default_rng(seed)
    known = reachable(market)
    chosen = np.sort(rng.permutation(len(asked.takers))[:_MOST_QUERIES])
    values = []
    for start in range(0, len(chosen), _BLOCK):
        block = chosen[start : start + _BLOCK]
        asking = [questions(market, asked.takers[query], known) for query in block]
        cut = [[(right, _sampled(pool, right, rng)) for right, pool in each] for each in asking]
        rows = np.unique(np.concatenate([pool for each in cut for _, pool in each] or [np.zeros(0, dtype=np.intp)]))
        if not len(rows):
            continue
        scores = engine.score(market, asked.offers.take(block), rows)
        for own, each in zip(scores, cut, strict=True):
            values += [measure(own[np.searchsorted(rows, pool)], np.searchsorted(pool, right)) for right, pool in each]
    return values


def _sampled(pool: Rows, right: Rows, rng: np.random.Generator) -> Rows:
    if len(pool) <= _MOST_RECEIVERS:
        return pool
    return np.union1d(rng.choice(pool, _MOST_RECEIVERS, replace=False), right).astype(np.intp)


def _by_time(groups: Ints, times: Values, count: int) -> list[Fold]:
    names = np.unique(groups)
    active = _last_active(groups, times, names)
    ordered = names[np.argsort(active, kind="stable")]
    found = []
    for run in np.array_split(ordered, count + 1)[1:]:
        asked = np.isin(groups, run)
        known = times[asked][np.isfinite(times[asked])]
        if not len(known):
            continue
        kept = ~asked & ~(times >= known.min())  # what has no time counts as known from the start
        if kept.any():
            found.append(Fold(np.flatnonzero(kept), np.flatnonzero(asked)))
    return found


def _last_active(groups: Ints, times: Values, names: Ints) -> Values:
    """``[len(names)]`` latest known time of each group; minus infinity where none is."""
    last = np.full(len(names), -np.inf)
    np.maximum.at(last, np.searchsorted(names, groups), np.where(np.isfinite(times), times, -np.inf))
    return last
