"""A past for the site: versions and why they serve, searches, weights that moved, and a forecast; each by its owner."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from retraining_fakes import comparison

from ism.app.wiring import Application
from ism.domain.fusion import MaturedOutcomes
from ism.domain.monitoring import MetricPoint
from ism.domain.retraining import GateLook, RetrainingJob
from ism.engines.base import Param
from ism.monitoring.outlook import OutlookWatch
from ism.retraining.comparison import GatePolicy
from ism.retraining.gate import decide
from ism.retraining.opening import registry_of
from ism.retraining.registry import Lineage
from ism.retraining.report import gate_report
from ism.tuning.config import OptimizationConfig
from ism.tuning.objective import Objective

SEARCH_LIMIT = 120.0  # seconds that a search may take on a busy machine
_SPACE = {"rounds": Param(60, 20, 200), "rate": Param(0.1, 0.01, 0.5), "kind": Param("a", choices=("a", "b"))}


def seed_past(application: Application) -> None:
    """All of it; takes some seconds."""
    promote_twice(application)
    search(application)
    move_weights(application)
    look_ahead(application)


def promote_twice(application: Application, model: str = "matching") -> None:
    """Two versions, each trained by a job, judged by the gate, promoted and baked; a third one refused."""
    store, registry = application.store.retraining, registry_of(application.store, application.settings)
    policy, now = GatePolicy(draws=200), datetime.now(UTC)
    parent = None
    for number, (gain, days) in enumerate([(0.2, 9), (0.25, 6), (-0.2, 2)], 1):
        at = now - timedelta(days=days)
        store.add_job(RetrainingJob(f"job-{number}", model, "manual", {"retraining_type": "full"}, "REQUESTED", at))
        claim = store.claim(f"job-{number}", "worker", at, at + timedelta(minutes=1))
        for state in ("SNAPSHOTTED", "VALIDATED", "TUNING", "TRAINED"):
            at += timedelta(minutes=4)
            claim = store.move(claim, state, reason=f"{state.capitalize()} by the worker.", at=at)
        decision = decide(comparison(np.random.default_rng(number), gain=gain), policy, 0.01)
        about = {"model": model, "job": f"job-{number}"}
        evidence = {**decision.as_dict(), "about": about, "move": 0}
        store.add_look(
            GateLook(model, number, f"job-{number}", decision.verdict, 0.01, evidence, gate_report(evidence, about), at)
        )
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "engine.json").write_text(f'{{"model": {number}}}')
            lineage = Lineage(f"{number}" * 64, "0.1.0", {"rounds": 100 * number, "rate": 0.1}, number, parent,
                              f"job-{number}", decision.verdict, {"ndcg@10": 0.5 + gain})  # fmt: skip
            version = registry.register(model, Path(folder), lineage)
        claim = store.move(claim, "EVALUATED", reason=decision.verdict, at=at)
        if decision.verdict == "REJECT":
            store.move(claim, "REJECTED", reason="; ".join(decision.reasons), at=at)
            continue
        registry.promote(version, "retraining", f"It passed look {number} of the gate.")
        parent = version.version_id
        for state in ("GATE_PASSED", "STAGED", "PROMOTED", "BAKED"):
            claim = store.move(claim, state, reason="Nothing fell.", at=at)


def search(application: Application) -> None:
    """A search that ended and one that failed, by the optimizer itself on objectives that take no time."""
    optimizer = application.tuning.optimizer
    config = OptimizationConfig("matching", "random", n_trials=6, timeout=SEARCH_LIMIT, metric="score")
    begun = [
        optimizer.submit(config, Objective(f"tests.web.objectives:{name}", space=_SPACE))
        for name in ("failing", "hill")
    ]
    for each in begun:
        optimizer.wait(each, SEARCH_LIMIT)


def move_weights(application: Application) -> None:
    """Thirty outcomes, which one engine foresaw and another one did not."""
    rng, now = np.random.default_rng(0), datetime.now(UTC)
    label = rng.integers(0, 2, 30).astype(float)
    application.fusion.observe(
        MaturedOutcomes(
            [f"matured {number}" for number in range(30)],
            {"matching": 0.2 + 0.6 * label, "knowledge_graph": np.full(30, 0.5), "gnn": 0.8 - 0.6 * label},
            label,
            np.ones(30),
            [now - timedelta(days=20) + timedelta(hours=12 * number) for number in range(30)],
        )
    )


def look_ahead(application: Application) -> None:
    """Three weeks of hours with a day's rhythm, and the outlook that is made from them."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rng, points = np.random.default_rng(0), []
    for hour in range(21 * 24, 0, -1):
        at = now - timedelta(hours=hour)
        busy = 5.0 - 4.0 * np.cos(2 * np.pi * at.hour / 24) + float(rng.normal(0, 1.5))
        points.append(MetricPoint("requests_per_second", at, 3600, 1, busy, busy, busy))
    application.store.monitoring.add_metrics(points, now)
    OutlookWatch(application.store).turn(now)
