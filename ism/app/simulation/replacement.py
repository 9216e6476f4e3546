"""How a model is replaced: three retraining jobs of the real `matching` engine on a simulated market.

The pipeline, the gate, the registry and the canary are the real ones. Simulated are the market
(`ism.testing.history`), the requests in shadow and what came of the canary's visits; hours pass by a clock that is set.

1. A first model passes the gate, but people accept fewer of its proposals: the canary rolls it back.
2. After more exchanges, a model passes, people like it, it is promoted and bakes.
3. A refit on the same exchanges is no better than what serves: the gate lets nothing through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ism.app.simulation.desk import Clock
from ism.app.simulation.scene import prepare, settings_for
from ism.domain.retraining import JobMove
from ism.retraining.e_process import Arm, ArmOutcome
from ism.retraining.opening import parts_of
from ism.retraining.parts import NothingSeen, ShadowCount
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.storage import open_store
from ism.testing.history import history
from ism.testing.sample import WordEncoder

ENGINE = "matching"
_DONORS = 30  # of each of the eight materials
_CHAMPION = 0.30  # share of proposals that people accept from what serves
_HOURS = 24 * 60  # that a job may take
_REQUESTS, _COMPANIES, _SHARE = 20, 5, 0.1  # an hour; an hour; of companies in the canary


@dataclass(frozen=True)
class Plan:
    """A job, and what people will make of its model.

    Attributes:
        title: what happens.
        accepted: share of the challenger's proposals that are accepted.
        adds: whether exchanges are added before the job.
    """

    title: str
    accepted: float
    adds: bool


PLANS = (
    Plan("A first model that people do not like", 0.15, True),
    Plan("The next one, which they do", 0.38, True),
    Plan("A refit that is no better", 0.30, False),
)


@dataclass(frozen=True)
class Replaced:
    """One job, as its ledger has it.

    Attributes:
        title: what was planned.
        moves: all of them, in order.
        reports: pages of the gate.
        serving: number of the version that serves afterwards; None is the engine that came with the folder.
    """

    title: str
    moves: list[JobMove]
    reports: list[str]
    serving: int | None

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        moves = [{"at": move.at.isoformat(), "state": move.to_state, "reason": move.reason} for move in self.moves]
        return {"title": self.title, "moves": moves, "reports": self.reports, "serving": self.serving}


@dataclass
class SimulatedTraffic(NothingSeen):
    """Requests in shadow, and companies that come to a canary one after another."""

    accepted: float = _CHAMPION
    hours: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _seen: list[ArmOutcome] = field(default_factory=list)

    def begin(self, accepted: float) -> None:
        """Another job: nothing was seen of it yet."""
        self.accepted, self.hours, self._seen = accepted, 0, []

    def shadow(self, version_id: str) -> ShadowCount:
        """All went well."""
        return ShadowCount(_REQUESTS * self.hours, 0)

    def outcomes(self, model_name: str, version_id: str) -> list[ArmOutcome]:
        """A share of the companies is answered by the challenger."""
        for number in range(len(self._seen), _COMPANIES * self.hours):
            arm: Arm = "challenger" if self._rng.uniform() < _SHARE else "champion"
            likely = self.accepted if arm == "challenger" else _CHAMPION
            self._seen.append(ArmOutcome(f"company-{number}", arm, float(self._rng.uniform() < likely)))
        return self._seen


def replaced(folder: Path, clock: Clock, watch: Callable[[Replaced], None] | None = None) -> list[Replaced]:
    """Play the three jobs.

    Args:
        folder: new, empty, or from an earlier simulation.
        clock: is moved.
        watch: is told of each job as it ends.

    Raises:
        ConflictError: the folder holds something that no simulation made.
    """
    prepare(folder)
    settings, traffic, told = settings_for(folder), SimulatedTraffic(), list[Replaced]()
    with open_store(settings, simulated=True) as store:
        parts = replace(parts_of(store, WordEncoder(), settings, traffic), clock=clock)
        pipeline = AIRetrainingPipeline(parts, background=False)
        for number, plan in enumerate(PLANS):
            if plan.adds:
                companies, exchanges = history(_DONORS, number, number * _DONORS)
                store.bulk_upsert([*companies, *exchanges])
            traffic.begin(plan.accepted)
            job = _run(pipeline, traffic, clock)
            champion = parts.registry.deployment(ENGINE).champion
            serving = None if champion is None else parts.registry.find(ENGINE, champion).number
            told.append(Replaced(plan.title, pipeline.moves(job), pipeline.reports(job), serving))
            if watch is not None:
                watch(told[-1])
    return told


def _run(pipeline: AIRetrainingPipeline, traffic: SimulatedTraffic, clock: Clock) -> str:
    """Hour after hour, until a job has ended; its identifier."""
    job = pipeline.request(ENGINE, "manual", {"retraining_type": "full"})
    for hour in range(_HOURS):
        clock.now += timedelta(hours=1)
        traffic.hours = hour
        pipeline.run_due()
        if pipeline.job(job.job_id).completed_at is not None:
            break
    return job.job_id
