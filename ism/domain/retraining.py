"""Retraining jobs, model versions and what serves: plain values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

TriggerType = Literal["schedule", "feedback", "performance", "manual"]
RetrainingType = Literal["full", "adaptive", "feedback_driven", "optimization"]
JobStatus = Literal["pending", "running", "completed", "failed", "cancelled"]
JobState = Literal[
    "REQUESTED",
    "COALESCED",
    "DEFERRED",
    "SNAPSHOTTED",
    "VALIDATED",
    "TUNING",
    "TRAINED",
    "EVALUATED",
    "REJECTED",
    "GATE_PASSED",
    "STAGED",
    "SHADOW",
    "CANARY",
    "PROMOTED",
    "BAKED",
    "FAILED",
    "ROLLED_BACK",
]
RolloutMode = Literal["none", "shadow", "canary"]

# From where to where a job may move; a move to its own state waits, or looks again.
MOVES: dict[JobState, tuple[JobState, ...]] = {
    "REQUESTED": ("COALESCED", "DEFERRED", "SNAPSHOTTED", "FAILED"),
    "DEFERRED": ("COALESCED", "DEFERRED", "SNAPSHOTTED", "FAILED"),
    "SNAPSHOTTED": ("VALIDATED", "FAILED"),
    "VALIDATED": ("TUNING", "FAILED"),
    "TUNING": ("TRAINED", "FAILED"),
    "TRAINED": ("EVALUATED", "FAILED"),
    "EVALUATED": ("EVALUATED", "REJECTED", "GATE_PASSED", "FAILED"),
    "GATE_PASSED": ("STAGED", "FAILED"),
    "STAGED": ("SHADOW", "PROMOTED", "FAILED"),
    "SHADOW": ("SHADOW", "CANARY", "PROMOTED", "FAILED"),
    "CANARY": ("CANARY", "PROMOTED", "ROLLED_BACK", "FAILED"),
    "PROMOTED": ("PROMOTED", "BAKED", "ROLLED_BACK", "FAILED"),
    "COALESCED": (),
    "REJECTED": (),
    "BAKED": (),
    "FAILED": (),
    "ROLLED_BACK": (),
}
ENDED: frozenset[JobState] = frozenset(state for state, after in MOVES.items() if not after)
OPEN: frozenset[JobState] = frozenset(MOVES) - ENDED
# What is done with a job from then on goes on in what serves: a little at a time, as requests come.
SERVING: frozenset[JobState] = frozenset({"STAGED", "SHADOW", "CANARY", "PROMOTED"})
PROGRESS = "progress"  # in the detail of a job: how far the step is that runs
_STATUS: dict[JobState, JobStatus] = {
    "REQUESTED": "pending",
    "DEFERRED": "pending",
    "COALESCED": "completed",
    "REJECTED": "completed",
    "BAKED": "completed",
    "ROLLED_BACK": "failed",
    "FAILED": "failed",
}


@dataclass(frozen=True, slots=True)
class RetrainingJob:
    """One request to retrain, and how far it has come.

    Attributes:
        config: ``retraining_type``, and where given ``n_trials`` and ``timeout`` (s).
        state: where it stands in `MOVES`.
        detail: what its steps made: digests, versions, the gate's verdict.
        moves: how many moves it has made; the next one must name this number.
        fence: grows with every claim; a worker with an older one can change nothing.
        not_before: it waits until then; None where it does not wait.
        cancel_requested: whether somebody asked it to end.
        lease_until: until when its worker counts as alive; the worker prolongs it while it works.
    """

    job_id: str
    model_name: str
    trigger_type: TriggerType
    config: dict[str, Any]
    state: JobState
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    moves: int = 0
    fence: int = 0
    not_before: datetime | None = None
    cancel_requested: bool = False
    lease_until: datetime | None = field(default=None, compare=False)

    @property
    def status(self) -> JobStatus:
        """The state in one of five words."""
        if self.state == "FAILED" and self.cancel_requested:
            return "cancelled"
        return _STATUS.get(self.state, "running")

    def as_dict(self) -> dict[str, Any]:
        """What callers are told; times ISO 8601 UTC."""
        times = {name: getattr(self, name) for name in ("created_at", "started_at", "completed_at", "not_before")}
        return {
            "job_id": self.job_id,
            "model_name": self.model_name,
            "trigger_type": self.trigger_type,
            "config": dict(self.config),
            "status": self.status,
            "state": self.state,
            **{name: time.isoformat() if time else None for name, time in times.items()},
            "error_message": self.error_message,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True, slots=True)
class JobMove:
    """One row of a job's ledger."""

    job_id: str
    number: int
    from_state: JobState | None
    to_state: JobState
    fence: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model that can serve, with all that it came from.

    Attributes:
        number: counts the versions of a name from 1.
        artifact: SHA-256 over the names and SHA-256 of its files.
        files: path -> SHA-256 of each file.
        snapshot: SHA-256 of what it learnt from.
        parent: the version that it challenged; None for the first.
        gate: verdict of the gate; only ``PASS`` may be promoted.
        retired_at: since when its files are gone; None while they are kept.
    """

    version_id: str
    model_name: str
    number: int
    artifact: str
    files: dict[str, str]
    snapshot: str
    code_version: str
    params: dict[str, Any]
    seed: int
    parent: str | None
    job_id: str | None
    gate: str
    metrics: dict[str, Any]
    created_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """What serves under a name.

    Attributes:
        generation: grows with every change; a change must name the one it saw.
        champion: version that answers; None before the first promotion.
        previous: champion before it, to which a rollback returns.
        challenger: version in shadow or canary.
        share: of companies that the canary answers, 0..1.
    """

    model_name: str
    generation: int = 0
    champion: str | None = None
    previous: str | None = None
    challenger: str | None = None
    mode: RolloutMode = "none"
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of what serves."""

    model_name: str
    generation: int
    action: str
    from_version: str | None
    to_version: str | None
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GateLook:
    """One look of the gate at a challenger, with its evidence."""

    model_name: str
    number: int
    job_id: str
    verdict: str
    level: float
    evidence: dict[str, Any]
    report: str
    at: datetime
