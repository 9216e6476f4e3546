"""Engines fitted, calibrated out of fold and fused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.domain.engine import FusionModel
from ism.engines.base import Engine, Snapshot
from ism.fusion.calibration import Calibration, fit_calibration
from ism.fusion.conformal import Conformal, fit_conformal, reach
from ism.fusion.evidence import EngineFactory, Evidence, out_of_fold
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.method import FusionMethod
from ism.fusion.methods import DEFAULT_MODEL
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS, agreement


@dataclass(frozen=True)
class FusedScores:
    """Scores of ``q`` offers with ``n`` receivers; every array is ``[q, n]`` in 0..1.

    Attributes:
        contributions: by engine; they add up to ``final``.
        probabilities: calibrated, by engine.
        seconds: that each engine took.
    """

    final: Floats
    confidence: Floats
    contributions: dict[str, Floats]
    probabilities: dict[str, Floats]
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class FittedFusion:
    """Engines that answer together.

    Attributes:
        method: how their probabilities are fused; the weighted sum with ``weights`` when None.
        models: learnt from the same evidence as the calibrations; none of them answers by itself.
        conformal: id of a model -> thresholds of its prediction sets of sectors.
    """

    engines: dict[str, Engine]
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    method: FusionMethod | None = None
    models: list[FusionModel] = field(default_factory=list)
    conformal: dict[str, Conformal] = field(default_factory=dict)

    def fuses_by(self) -> FusionMethod:
        """The method in use."""
        return self.method or WeightedSum(self.weights)

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> FusedScores:
        """Fused scores of each offer with the receivers at ``rows`` (all by default).

        An engine that the method does not weigh, since it came later, has no say until a method is learnt with it.
        """
        scores, seconds = {}, {}
        for name, engine in self.engines.items():
            started = time.perf_counter()
            scores[name] = engine.score(market, offers, rows)
            seconds[name] = time.perf_counter() - started
        probabilities = {
            name: open_world(market, given, rows, self.calibrations.get(name, Calibration()))
            for name, given in scores.items()
        }
        method = self.fuses_by()
        weighed = {name: values for name, values in probabilities.items() if name in method.weights}
        fused = method.fuse(weighed)
        return FusedScores(fused.final, agreement(weighed, method.weights), fused.contributions, probabilities, seconds)


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


def fit_fusion(
    snapshot: Snapshot, engines: Mapping[str, EngineFactory], seed: int = 0, *, models: bool = True
) -> FittedFusion:
    """Fit every engine on all of the snapshot; calibrations and fusion models on folds that twins of it did not see.

    Args:
        snapshot: what is known.
        engines: engine -> how to make it.
        seed: of everything random.
        models: whether fusion models are learnt; not where engines are still to come.
    """
    evidence = out_of_fold(snapshot, engines, seed)
    calibrations = {name: calibration_of(evidence, name) for name in engines}
    fitted = {}
    for name, make in engines.items():
        engine = make()
        engine.fit(snapshot, None, seed)
        fitted[name] = engine
    found, conformal = learnt(evidence, calibrations, models=models)
    return FittedFusion(fitted, calibrations, models=found, conformal=conformal)


def calibrate(snapshot: Snapshot, make: EngineFactory, seed: int = 0) -> Calibration:
    """Calibration of one engine from out-of-fold scores; identity where there are fewer than two groups."""
    return calibration_of(out_of_fold(snapshot, {"engine": make}, seed), "engine")


def calibration_of(evidence: Evidence, engine: str) -> Calibration:
    """Calibration of an engine from evidence."""
    return fit_calibration(evidence.lifts[engine], evidence.relevant, evidence.fold, evidence.group)


def learnt(
    evidence: Evidence, calibrations: Mapping[str, Calibration], *, models: bool = True
) -> tuple[list[FusionModel], dict[str, Conformal]]:
    """Fusion models learnt from evidence, and the thresholds of their prediction sets of sectors, out of fold.

    Nothing is learnt while an engine has no calibration: its probabilities would mean something else.
    """
    if not len(evidence) or not all(calibration.cases for calibration in calibrations.values()):
        return [], {}
    from ism.fusion import learn  # noqa: PLC0415 - the optimiser is needed at fit time only

    said = [calibrations[name].of_lift(evidence.lifts[name]).astype(np.float64) for name in calibrations]
    pairs = learn.Pairs(np.stack(said, axis=1), list(calibrations), evidence.relevant, evidence.question, evidence.fold)
    found = learn.learn(pairs) if models else []
    usual = WeightedSum(DEFAULT_WEIGHTS).value(pairs.opinions())
    fused = {DEFAULT_MODEL: usual} | {each.model.model_id: each.unseen for each in found}
    sets = {model_id: _conformal(evidence, values) for model_id, values in fused.items()}
    return [each.model for each in found], {model_id: each for model_id, each in sets.items() if each.groups}


def _conformal(evidence: Evidence, fused: npt.NDArray[np.float64]) -> Conformal:
    """Thresholds from the questions about sectors."""
    lists = np.split(np.arange(len(fused)), np.flatnonzero(np.diff(evidence.question)) + 1)
    asked = [rows for rows in lists if evidence.sector[rows[0]]]
    if not asked:
        return Conformal()
    reached = np.asarray([reach(fused[rows], evidence.relevant[rows]) for rows in asked])
    return fit_conformal(reached, np.asarray([evidence.group[rows[0]] for rows in asked]))
