"""What a store promises about retraining; `SqlRetrainingStore` keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ism.domain.retraining import Deployment, GateLook, JobMove, JobState, LedgerEntry, ModelVersion, RetrainingJob


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to move one job until ``until``; the fence is its proof."""

    job: RetrainingJob
    owner: str
    fence: int
    until: datetime


class RetrainingStore(ABC):
    """Jobs, versions, what serves, and the ledgers of both.

    Promises:
        Ledgers: a job's every move and a name's every change of what serves is one row, written in the transaction that
            makes it; rows are never changed.
        Compare and swap: a move names the number and the fence that it saw, a change of what serves the generation.
            Whoever comes second gets ConflictError and has changed nothing.
        Lease: a job is moved by the holder of its latest claim only; an expired lease can be taken over, after which
            the old holder can change nothing.
    """

    # --- jobs ---

    @abstractmethod
    def add_job(self, job: RetrainingJob) -> RetrainingJob:
        """Store a new request.

        Where its model has a job that has not begun yet, the new one is stored as ``COALESCED`` into it, in the same
        transaction, so that any number of requests makes one run.
        """

    @abstractmethod
    def get_job(self, job_id: str) -> RetrainingJob:
        """One job, or NotFoundError."""

    @abstractmethod
    def jobs(
        self, *, model_name: str | None = None, states: Collection[JobState] | None = None, limit: int = 100
    ) -> list[RetrainingJob]:
        """Jobs, newest first."""

    @abstractmethod
    def begun_since(self, model_name: str, since: datetime) -> list[datetime]:
        """When the jobs of a model began that began after ``since``, latest first."""

    @abstractmethod
    def moves(self, job_id: str) -> list[JobMove]:
        """A job's ledger, in order."""

    @abstractmethod
    def claim(self, job_id: str, owner: str, now: datetime, until: datetime) -> Claim:
        """Take a job's lease; ConflictError while somebody else holds it or the job has ended."""

    @abstractmethod
    def renew(self, claim: Claim, until: datetime, progress: Mapping[str, Any] | None = None) -> Claim:
        """Prolong a lease; ConflictError when it was taken over.

        Args:
            claim: that still holds.
            until: new end.
            progress: how far the step is; shown in the job's ``detail`` as ``progress`` until its next move.
        """

    @abstractmethod
    def release(self, claim: Claim) -> None:
        """Give a lease back; does nothing when it was taken over."""

    @abstractmethod
    def move(
        self,
        claim: Claim,
        to: JobState,
        *,
        reason: str,
        detail: Mapping[str, Any] | None = None,
        not_before: datetime | None = None,
        at: datetime | None = None,
    ) -> Claim:
        """Move a job, write its ledger row, and return the claim with the moved job.

        Args:
            claim: as the last call returned it.
            to: a state that `MOVES` allows.
            reason: for people; the error message where it fails.
            detail: entries to add to the job's, in place of those of the same name.
            not_before: until when the job waits in its new state.
            at: time of the move, now when None.

        ConflictError when the claim is not the latest, or the move is not allowed.
        """

    @abstractmethod
    def request_cancel(self, job_id: str) -> RetrainingJob:
        """Mark a job to be ended by whoever holds it; ConflictError when it has ended."""

    # --- the gate ---

    @abstractmethod
    def add_look(self, look: GateLook) -> None:
        """Store the look number ``look.number`` of a model; ConflictError when it was taken by another."""

    @abstractmethod
    def looks(self, model_name: str) -> list[GateLook]:
        """Every look at challengers of a name, in order."""

    # --- versions and what serves ---

    @abstractmethod
    def add_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next number of its name; the same again where its job stored it already."""

    @abstractmethod
    def get_version(self, version_id: str) -> ModelVersion:
        """One version, or NotFoundError."""

    @abstractmethod
    def versions(self, model_name: str | None = None) -> list[ModelVersion]:
        """Versions, by name and newest first."""

    @abstractmethod
    def retire(self, version_id: str, at: datetime) -> ModelVersion:
        """Mark a version's files as gone; ConflictError while it serves or could be returned to."""

    @abstractmethod
    def deployment(self, model_name: str) -> Deployment:
        """What serves under a name; generation 0 before anything did."""

    @abstractmethod
    def deploy(self, entry: LedgerEntry, wanted: Deployment) -> Deployment:
        """Change what serves and write the ledger row, in one transaction.

        Args:
            entry: why; its generation is that of ``wanted``.
            wanted: with the generation after the one that was seen.

        ConflictError when another change came first.
        """

    @abstractmethod
    def ledger(self, model_name: str) -> list[LedgerEntry]:
        """Every change of what serves under a name, in order."""
