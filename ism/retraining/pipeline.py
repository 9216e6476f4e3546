"""`AIRetrainingPipeline`: requests in, promoted models or reasons out, as SPEC.md shows."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from ism.domain.errors import EngineError, IsmError, NotFoundError, StorageUnavailableError
from ism.domain.retraining import ENDED, OPEN, JobMove, RetrainingJob, TriggerType
from ism.engines import catalog
from ism.retraining.config import checked_request
from ism.retraining.driver import Driver
from ism.retraining.parts import Parts

_POLL_S, _AGAIN_S = 5.0, 0.5  # seconds between two looks at jobs, and at a database that was away
_log = logging.getLogger("ism.retraining")


class AIRetrainingPipeline:
    """Takes requests to retrain and carries them through; threads may share it.

    Args:
        parts: what jobs work with; those of the default data folder when None.
        background: whether jobs run by themselves in a thread; else whoever calls `run_due` runs them.
    """

    def __init__(self, parts: Parts | None = None, background: bool = True) -> None:
        if parts is None:
            from ism.retraining.opening import default_parts  # noqa: PLC0415 - opens a store only where none was given

            parts = default_parts()
        self._parts, self._background = parts, background
        self._driver = Driver(parts)
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._failure: str | None = None

    async def schedule_retraining_job(
        self, model_name: str, trigger_type: str = "manual", config: Mapping[str, Any] | None = None
    ) -> str:
        """Ask for a retraining; see `request`."""
        return self.request(model_name, trigger_type, config).job_id

    def request(
        self,
        model_name: str,
        trigger_type: str = "manual",
        config: Mapping[str, Any] | None = None,
        job_id: str | None = None,
    ) -> RetrainingJob:
        """Store a request, durably, before it returns.

        Args:
            model_name: an engine of the catalogue.
            trigger_type: ``schedule``, ``feedback``, ``performance`` or ``manual``; only the last skips the cool-down.
            config: ``retraining_type`` (``full``: the champion's parameters; ``adaptive``: a short search from them;
                ``feedback_driven``: only where something new has matured; ``optimization``: a whole search),
                ``n_trials``, ``timeout`` (s of the search), ``seed``, ``optimization_id`` (a search that there is,
                whose best parameters are taken instead of searching anew).
            job_id: names the job, where a request may be handed in twice: the second one gets the job of the first.

        Returns:
            the job; ``COALESCED`` where one of the model waits already.

        Raises:
            InvalidInputError: a value cannot be used.
            NotFoundError: there is no such engine.
        """
        given, trigger = checked_request(trigger_type, config), cast("TriggerType", trigger_type)
        if model_name not in catalog.names():
            raise NotFoundError("engine", model_name)
        if job_id is not None:
            with suppress(NotFoundError):
                return self._parts.store.get_job(job_id)
        name = job_id or uuid.uuid4().hex
        made = RetrainingJob(name, model_name, trigger, given, "REQUESTED", self._parts.clock())
        job = self._parts.store.add_job(made)
        if job.state in ENDED:
            self._parts.ended(job.job_id)
        if self._background:
            self.start()
            self._wake.set()
        return job

    def get_job_status(self, job_id: str) -> dict[str, Any]:
        """A job as JSON values: the fields of `RetrainingJob`; only ``status`` ``not_found`` for an unknown one."""
        try:
            return self._parts.store.get_job(job_id).as_dict()
        except NotFoundError:
            return {"job_id": job_id, "status": "not_found"}

    def jobs(self, model_name: str | None = None, limit: int = 100) -> list[RetrainingJob]:
        """Jobs, newest first."""
        return self._parts.store.jobs(model_name=model_name, limit=limit)

    def job(self, job_id: str) -> RetrainingJob:
        """One job, or NotFoundError."""
        return self._parts.store.get_job(job_id)

    def moves(self, job_id: str) -> list[JobMove]:
        """A job's ledger."""
        return self._parts.store.moves(job_id)

    def reports(self, job_id: str) -> list[str]:
        """What the gate wrote about a job's challenger, look by look, as Markdown."""
        job = self._parts.store.get_job(job_id)
        return [look.report for look in self._parts.store.looks(job.model_name) if look.job_id == job_id]

    def cancel(self, job_id: str) -> RetrainingJob:
        """Ask a job to end; a promoted model stays (roll it back instead).

        Raises:
            ConflictError: it has ended.
        """
        job = self._parts.store.request_cancel(job_id)
        self._wake.set()
        return job

    def run_due(self) -> int:
        """Run every job that is due as far as it goes now; returns how many moves were made."""
        return self._driver.tick()

    def start(self) -> None:
        """Run jobs by themselves from now on; those that a dead process left behind, too."""
        with self._starting:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._loop, name="retraining", daemon=True)
                self._thread.start()

    def probe(self) -> str:
        """See to it that open jobs are run; how many there are, for people.

        Raises:
            EngineError: they cannot be run.
            StorageError: the store cannot be read.
        """
        count = len(self._parts.store.jobs(states=OPEN, limit=1000))
        if self._thread is not None and not self._thread.is_alive():
            raise EngineError("The thread that runs retraining jobs has ended.")
        if self._failure is not None:
            raise EngineError(f"Retraining jobs cannot be run: {self._failure}")
        if count:
            self.start()
            self._wake.set()
        return f"{count} open jobs{'' if self._parts.lead.leads else ', which another process runs'}."

    def close(self, wait_s: float = 30.0) -> None:
        """Stop running jobs; what runs ends at its next step and is resumed by the next start."""
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _loop(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            try:
                with self._parts.lead.term() as mine:
                    if mine:
                        self._driver.tick()
                self._failure, pause = None, _POLL_S
            except StorageUnavailableError as error:
                _log.warning("Retraining jobs wait for the database: %s", error)
                pause = _AGAIN_S
            except Exception as error:  # noqa: BLE001 - the loop must outlive a database that is away
                self._failure = str(error) if isinstance(error, IsmError) else f"{type(error).__name__}."
                _log.exception("Retraining jobs could not be run; trying again.")
                pause = _POLL_S
            self._wake.wait(pause)
