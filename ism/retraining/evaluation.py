"""Champion and challenger on the same fresh cases: the numbers that the gate looks at.

Each case is an offer of the fresh part with the companies that took it. Receivers are those of whom the training part
knows anything; past partners of the offering company do not compete. Everybody answers from the same market, which
holds the training part's precedents only. A model is an engine with its calibration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.votes import reachable
from ism.engines.base import Engine, Snapshot
from ism.engines.metrics import DEPTH, Values, ndcg
from ism.engines.snapshot_files import read_snapshot
from ism.engines.split import FRESH
from ism.engines.training import queries
from ism.fusion.calibration import Calibration
from ism.fusion.fit import open_world
from ism.retraining.comparison import Comparison, Measured
from ism.retraining.slices import Mask
from ism.retraining.snapshot import EVIDENCE, WrittenSnapshot

Scorer = Callable[[Market, OfferArrays, Rows], Floats]
_PAIRS = 200  # receivers a case whose probabilities are compared with what happened, a sample beyond


@dataclass(frozen=True)
class Model:
    """What is scored: an engine's ``score``, and what turns its scores into probabilities."""

    score: Scorer
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def of(cls, engine: Engine, calibration: Calibration) -> Model:
        """A fitted engine as a model."""
        return cls(engine.score, calibration)


@dataclass(frozen=True, eq=False)
class Cases:
    """Fresh cases.

    Attributes:
        market: of the training part; its companies of whom anything is known are the candidates.
        offers: ``q`` of them.
        takers: rows that took each; empty ones were left out.
        pools: rows that compete in each case, the takers among them.
        groups: ``[q]`` the offering company.
        raters: ``[q]`` who said what happened.
    """

    market: Market
    offers: OfferArrays
    takers: list[Rows]
    pools: list[Rows]
    groups: np.ndarray[tuple[int], np.dtype[np.int64]]
    raters: np.ndarray[tuple[int], np.dtype[np.object_]]

    def __len__(self) -> int:
        return len(self.takers)


def fresh_cases(snapshot: WrittenSnapshot) -> Cases:
    """The cases of a snapshot whose takers are among the candidates."""
    import polars as pl  # noqa: PLC0415 - 0.2 s: only where something is evaluated

    train, fresh = read_snapshot(snapshot.train), read_snapshot(snapshot.fresh)
    rows = pl.read_parquet(snapshot.folder / EVIDENCE).filter(pl.col("part") == FRESH)
    raters = rows["rater"].to_numpy()
    asked = queries(fresh)
    candidates = np.flatnonzero(reachable(train.market) & ~train.market.receivers.sector)
    past: dict[int, set[int]] = {}
    for group, receiver in zip(train.groups.tolist(), train.market.precedents.receiver.tolist(), strict=True):
        past.setdefault(group, set()).add(receiver)
    takers, pools, kept = [], [], []
    for query, took in enumerate(asked.takers):
        right = np.intersect1d(took, candidates)
        if not len(right):
            continue
        partners = np.asarray(sorted(past.get(int(asked.groups[query]), set())), dtype=np.intp)
        kept.append(query)
        takers.append(right)
        pools.append(np.union1d(np.setdiff1d(candidates, partners), right).astype(np.intp))
    chosen = np.asarray(kept, dtype=np.intp)
    first = _first_rows(fresh, asked.groups, asked.takers)
    return Cases(
        train.market, asked.offers.take(chosen), takers, pools, asked.groups[chosen].astype(np.int64),
        raters[[first[query] for query in kept]] if kept else np.zeros(0, dtype=object),
    )  # fmt: skip


def _first_rows(fresh: Snapshot, groups: np.ndarray, takers: list[Rows]) -> list[int]:
    """A row of each case, whose rater stands for it."""
    receiver = fresh.market.precedents.receiver
    return [
        int(np.flatnonzero((fresh.groups == group) & np.isin(receiver, took))[0])
        for group, took in zip(groups, takers, strict=True)
    ]


def measure(cases: Cases, model: Model, seed: int = 0) -> tuple[Measured, Values]:
    """A model on the cases, and what happened to the pairs of its probabilities.

    Args:
        cases: the same for every model.
        model: is asked case by case, as in serving.
        seed: of the sample of pairs; the same seed takes the same pairs.
    """
    rng = np.random.default_rng(seed)
    gains, seconds, shown = [], [], set()
    said: list[Floats] = []
    happened: list[Values] = []
    for place in range(len(cases)):
        offer, pool = cases.offers.take(np.asarray([place], dtype=np.intp)), cases.pools[place]
        started = time.perf_counter()
        scores = model.score(cases.market, offer, pool)
        seconds.append(time.perf_counter() - started)
        right = np.searchsorted(pool, cases.takers[place])
        gains.append(ndcg(scores[0], right))
        shown.update(pool[np.argsort(-scores[0], kind="stable")[:DEPTH]].tolist())
        some = _sampled(len(pool), right, rng)
        said.append(open_world(cases.market, scores, pool, model.calibration)[0, some])
        happened.append(np.isin(some, right).astype(np.float64))
    measured = Measured(
        np.asarray(gains, dtype=np.float64),
        np.concatenate(said).astype(np.float64) if said else np.zeros(0),
        np.asarray(seconds, dtype=np.float64),
        len(shown),
    )
    return measured, np.concatenate(happened) if happened else np.zeros(0)


def compare(
    cases: Cases, challenger: Model, champion: Model | None, references: Mapping[str, Model], seed: int = 0
) -> Comparison:
    """What the gate needs to know.

    Args:
        cases: fresh ones.
        challenger: the trained model.
        champion: what serves; None for the first model.
        references: plain methods, asked only where there is no champion.
        seed: of the sample of pairs.
    """
    mine, happened = measure(cases, challenger, seed)
    theirs = measure(cases, champion, seed)[0] if champion is not None else None
    plain = {} if champion is not None else {name: measure(cases, each)[0].gains for name, each in references.items()}
    return Comparison(
        challenger=mine,
        champion=theirs,
        references=plain,
        happened=happened,
        groups=cases.groups,
        raters=cases.raters,
        slices=slices_of(cases),
        off_policy="every offer is shown the same list, so the log holds no choice to weigh.",
    )


def slices_of(cases: Cases) -> dict[str, Mask]:
    """Chapters of the List of Waste, sectors of donors, and whether their place is known."""
    chapter, division = cases.offers.ewc[:, 0], cases.offers.nace[:, 0]
    found = {f"waste chapter {code:02d}": chapter == code for code in np.unique(chapter[chapter >= 0]).tolist()}
    found |= {f"donor sector {code:02d}": division == code for code in np.unique(division[division >= 0]).tolist()}
    found["waste code unknown"], found["place unknown"] = chapter < 0, np.isnan(cases.offers.latitude)
    return {name: np.asarray(mask, dtype=bool) for name, mask in found.items() if mask.any()}


def popularity(market: Market, offers: OfferArrays, rows: Rows) -> Floats:
    """Share of all precedents that each receiver has: the plainest method."""
    counts = np.bincount(market.precedents.receiver, minlength=len(market.receivers)).astype(np.float32)
    share = counts[rows] / max(float(counts.max(initial=1.0)), 1.0)
    return np.broadcast_to(share, (len(offers), len(rows))).astype(np.float32)


def _sampled(size: int, right: Rows, rng: np.random.Generator) -> Rows:
    if size <= _PAIRS:
        return np.arange(size, dtype=np.intp)
    return np.union1d(rng.choice(size, _PAIRS, replace=False), right).astype(np.intp)
