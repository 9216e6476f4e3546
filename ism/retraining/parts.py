"""What the steps of a job work with, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ism.data.text import TextEncoder
from ism.domain.retraining import OPEN, JobState, ModelVersion, RetrainingJob
from ism.engines.base import ParamValue
from ism.engines.evidence import EvidenceSource
from ism.engines.process import Outcome
from ism.retraining.config import RetrainingConfig
from ism.retraining.e_process import ArmOutcome
from ism.retraining.registry import Registry
from ism.retraining.snapshot import WrittenSnapshot, open_snapshot
from ism.storage import RetrainingStore
from ism.storage.lead import SOLE, Leadership

TRAINED = "trained"  # in the folder of jobs: what they trained, until they end
ACTOR = "retraining"  # who changed what serves, in the ledger


@dataclass(frozen=True, slots=True)
class Step:
    """Where a job goes next."""

    to: JobState
    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShadowCount:
    """Requests that a challenger scored without being seen, and how many of them failed."""

    requests: int = 0
    failures: int = 0


class Observations(Protocol):
    """What serving sees; the wiring brings it."""

    def shadow(self, version_id: str) -> ShadowCount:
        """How a shadow has done so far."""
        ...

    def outcomes(self, model_name: str, version_id: str) -> list[ArmOutcome]:
        """What came of both arms of a version's canary, in the order in which it was known."""
        ...

    def alarm(self, model_name: str, version_id: str) -> str | None:
        """Why a promoted version must go, or None."""
        ...


class NothingSeen:
    """Observations of a system without traffic: nothing is shown to be harmful, and nothing to be safe."""

    def shadow(self, version_id: str) -> ShadowCount:
        """None."""
        return ShadowCount()

    def outcomes(self, model_name: str, version_id: str) -> list[ArmOutcome]:
        """None."""
        return []

    def alarm(self, model_name: str, version_id: str) -> str | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a step that takes long stays in touch with its job.

    Attributes:
        stopped: whether the job was cancelled or is somebody else's by now: the step should end.
        tell: takes how far it is, ``step`` (for people) and ``progress`` (0..1), for whoever looks at the job.
    """

    stopped: Callable[[], bool] = lambda: False
    tell: Callable[[Mapping[str, Any]], object] = lambda values: None


class Search(Protocol):
    """Finds parameters on the training part alone."""

    def __call__(
        self,
        job_id: str,
        model_name: str,
        snapshot: Path,
        config: Mapping[str, Any],
        start: Mapping[str, ParamValue],
        pulse: Pulse,
    ) -> dict[str, ParamValue]:
        """The best parameters found.

        Args:
            job_id: who searches; a second call for the same job goes on where the first one was cut off.
            model_name: of the catalogue.
            snapshot: the training part.
            config: of the request: ``n_trials``, ``timeout`` (s), ``seed``, ``optimization_id``.
            start: parameters to try first.
            pulse: of the step that searches.
        """
        ...


Train = Callable[..., Outcome]


@dataclass(frozen=True)
class Parts:
    """What steps work with.

    Attributes:
        source: reads what happened, anew each time.
        folder: of snapshots and drafts.
        train: as `ism.retraining.training.train`.
        search: None where nothing can search; such requests fail with the reason.
        policies: engine -> parameters that people decide about, such as its privacy.
        ended: is told of every job that has ended, by whichever process ended it; may be told twice.
        clock: tells the time, UTC.
        states: in which jobs are moved here; in the others somebody else does.
        lead: whether jobs run by themselves in this process, where several share a store.
    """

    store: RetrainingStore
    registry: Registry
    source: Callable[[], EvidenceSource]
    encoder: TextEncoder
    folder: Path
    config: RetrainingConfig
    train: Train
    search: Search | None = None
    observations: Observations = field(default_factory=NothingSeen)
    text_model: Path | None = None
    policies: Mapping[str, Mapping[str, ParamValue]] = field(default_factory=dict)
    ended: Callable[[str], None] = lambda job_id: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    states: frozenset[JobState] = OPEN
    lead: Leadership = SOLE

    @property
    def snapshots(self) -> Path:
        """Folder of snapshots."""
        return self.folder / "snapshots"

    @property
    def artifact_home(self) -> Path:
        """Folder of what jobs trained."""
        return self.folder / TRAINED

    def artifact(self, job: RetrainingJob) -> Path:
        """Folder of what a job trained, until the job ends."""
        return self.artifact_home / job.job_id


def log_of(trained: Path) -> Path:
    """File of what the training printed that made such a folder; it lies beside it."""
    return trained.with_name(f"{trained.name}.log")


StepFunction = Callable[[Parts, RetrainingJob, Pulse], Step | None]


def snapshot_of(parts: Parts, job: RetrainingJob) -> WrittenSnapshot:
    """The snapshot that a job learns from."""
    return open_snapshot(parts.snapshots, job.detail["snapshot"])


def version_of(parts: Parts, job: RetrainingJob) -> ModelVersion:
    """The version that a job registered."""
    return parts.store.get_version(job.detail["version_id"])


def champion_of(parts: Parts, model_name: str) -> ModelVersion | None:
    """What serves under a name; None before the first promotion."""
    champion = parts.registry.deployment(model_name).champion
    return parts.store.get_version(champion) if champion is not None else None
