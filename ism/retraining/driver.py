"""Moves jobs: takes the lease, runs the step of the state, writes the move.

A process that dies leaves a lease that runs out; whoever takes the job over runs the step again. A process that was
only slow finds its fence outdated and changes nothing more.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from ism.domain.errors import ConflictError, IsmError, LeadLostError, StorageError, StorageUnavailableError
from ism.domain.retraining import ENDED, RetrainingJob
from ism.retraining.parts import Parts, Pulse, Step
from ism.retraining.rollout import give_up
from ism.retraining.steps import STEPS
from ism.retraining.tidy import tidy
from ism.storage import Claim

_log = logging.getLogger("ism.retraining")


class Driver:
    """Runs jobs one step at a time; any number of drivers may share a store.

    Args:
        parts: what steps work with.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    def tick(self) -> int:
        """Run every job that is due as far as it goes now; returns how many moves were made."""
        due = self._parts.store.jobs(states=self._parts.states, limit=1000)
        return sum(self.run(job.job_id) for job in reversed(due))

    def run(self, job_id: str) -> int:
        """Run one job until it ends, waits, or is somebody else's; returns how many moves were made."""
        moves = 0
        while self.advance(job_id):
            moves += 1
        return moves

    def advance(self, job_id: str) -> bool:
        """Make one move; False when the job has ended, waits, or is somebody else's."""
        now = self._parts.clock()
        job = self._parts.store.get_job(job_id)
        waits = job.not_before is not None and job.not_before > now and not job.cancel_requested
        if job.state not in self._parts.states or waits:
            return False
        try:
            claim = self._parts.store.claim(job_id, self._owner, now, now + self._parts.config.lease)
        except ConflictError:
            return False
        try:
            return self._move(claim)
        except ConflictError as error:
            _log.warning("Job %s: %s", job_id, error)
            return False
        finally:
            with suppress(StorageError):  # it expires by itself
                self._parts.store.release(claim)

    def _move(self, claim: Claim) -> bool:
        parts, job = self._parts, claim.job
        with _Heartbeat(parts, claim) as beat:
            step = self._step(job, Pulse(beat.stopped, beat.tell))
        if step is None or beat.overtaken:
            return False
        parts.store.move(
            claim, step.to, reason=step.reason, detail=step.detail, not_before=step.not_before, at=parts.clock()
        )
        _log.info("Job %s of %s: %s -> %s. %s", job.job_id, job.model_name, job.state, step.to, step.reason)
        if step.to in ENDED:
            parts.ended(job.job_id)
            tidy(parts)
        return True

    def _step(self, job: RetrainingJob, pulse: Pulse) -> Step | None:
        if job.cancel_requested:
            return give_up(self._parts, job, "Cancelled on request.")
        try:
            step = STEPS[job.state](self._parts, job, pulse)
        except (ConflictError, LeadLostError, StorageUnavailableError):
            raise  # somebody else was first, or the database is away: the step is run again
        except IsmError as error:
            return give_up(self._parts, job, str(error))
        except Exception as error:  # noqa: BLE001 - the edge of a job: it ends with a reason, serving goes on
            _log.exception("Job %s failed in %s.", job.job_id, job.state)
            return give_up(self._parts, job, f"{type(error).__name__} in {job.state}; the log says more.")
        if step is not None and step.to == "FAILED" and self._parts.store.get_job(job.job_id).cancel_requested:
            return give_up(self._parts, job, "Cancelled on request.")
        return step


class _Heartbeat:
    """Prolongs a lease while a step runs, writes down how far it is, and learns whether the step is still wanted.

    Args:
        parts: whose store keeps the lease.
        claim: to prolong.
    """

    def __init__(self, parts: Parts, claim: Claim) -> None:
        self._parts, self._claim = parts, claim
        self._over, self._lost, self._overtaken = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name="retraining-lease", daemon=True)
        self._progress: Mapping[str, Any] | None = None

    def tell(self, values: Mapping[str, Any]) -> None:
        """Take how far the step is; the next beat writes it down."""
        self._progress = values

    def stopped(self) -> bool:
        """Whether the job was cancelled or taken over, or this process leads no more."""
        return self._lost.is_set() or self._overtaken.is_set()

    @property
    def overtaken(self) -> bool:
        """Whether somebody else goes on with the job: what came of the step here counts for nothing."""
        return self._overtaken.is_set()

    def __enter__(self) -> _Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _beat(self) -> None:
        lease: timedelta = self._parts.config.lease
        while not self._over.wait(min(lease.total_seconds() / 4, 1.0)):
            if not self._parts.lead.leads:
                self._overtaken.set()
                return
            try:
                self._parts.store.renew(self._claim, self._parts.clock() + lease, self._progress)
                if self._parts.store.get_job(self._claim.job.job_id).cancel_requested:
                    self._lost.set()
            except ConflictError:
                self._overtaken.set()
                return
            except IsmError as error:
                _log.warning("The lease of job %s could not be prolonged: %s", self._claim.job.job_id, error)
