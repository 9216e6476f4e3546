"""Retraining's part of the store: each method is one transaction."""
# ruff: noqa: D102 - the contract, `RetrainingStore`, documents every method

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from ism.domain.audit import Act
from ism.domain.errors import ConflictError, NotFoundError
from ism.domain.retraining import (
    ENDED,
    MOVES,
    PROGRESS,
    Deployment,
    GateLook,
    JobMove,
    JobState,
    LedgerEntry,
    ModelVersion,
    RetrainingJob,
)
from ism.storage import audit_sql, registry_sql
from ism.storage.database import Database
from ism.storage.retraining_base import Claim, RetrainingStore
from ism.storage.retraining_schema import gate_look, retraining_job, retraining_move
from ism.storage.rows import as_json, check_identifier, check_text, check_time, utc_now

_JOB = tuple(RetrainingJob.__dataclass_fields__)
_MOVE = tuple(JobMove.__dataclass_fields__)
_LOOK = tuple(GateLook.__dataclass_fields__)
_WAITING: tuple[JobState, ...] = ("REQUESTED", "DEFERRED")
_job = retraining_job.c


class SqlRetrainingStore(RetrainingStore):
    """Keeps what `RetrainingStore` promises in the tables of `ism.storage.retraining_schema`.

    Args:
        database: of the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_job(self, job: RetrainingJob) -> RetrainingJob:
        for name in ("job_id", "model_name"):
            check_identifier(name, getattr(job, name))
        check_time("created_at", job.created_at)
        with self._database.write() as connection:
            registry_sql.lock(connection, job.model_name)
            found = select(_job.job_id).where(_job.model_name == job.model_name, _job.state.in_(_WAITING))
            waiting = connection.scalar(found.order_by(_job.created_at, _job.job_id).limit(1))
            reason = "Requested."
            if waiting is not None:
                reason = f"Joined {waiting}, which has not begun yet."
                detail = {**job.detail, "coalesced_into": waiting}
                job = replace(job, state="COALESCED", detail=detail, completed_at=job.created_at)
            row = {name: getattr(job, name) for name in _JOB}
            row["config"], row["detail"] = as_json("config", job.config), as_json("detail", job.detail)
            connection.execute(insert(retraining_job).values(**row, lease_owner=None))
            _log_move(connection, JobMove(job.job_id, 0, None, job.state, 0, reason, job.created_at))
        return job

    def get_job(self, job_id: str) -> RetrainingJob:
        with self._database.read() as connection:
            return _get(connection, job_id)

    def jobs(
        self, *, model_name: str | None = None, states: Collection[JobState] | None = None, limit: int = 100
    ) -> list[RetrainingJob]:
        statement = select(*(_job[name] for name in _JOB)).order_by(_job.created_at.desc(), _job.job_id.desc())
        if model_name is not None:
            statement = statement.where(_job.model_name == model_name)
        if states is not None:
            statement = statement.where(_job.state.in_(list(states)))
        with self._database.read() as connection:
            return [RetrainingJob(*row) for row in connection.execute(statement.limit(limit))]

    def begun_since(self, model_name: str, since: datetime) -> list[datetime]:
        statement = select(_job.started_at).where(_job.model_name == model_name, _job.started_at > since)
        with self._database.read() as connection:
            return list(connection.scalars(statement.order_by(_job.started_at.desc())))

    def moves(self, job_id: str) -> list[JobMove]:
        columns = (retraining_move.c[name] for name in _MOVE)
        statement = select(*columns).where(retraining_move.c.job_id == job_id).order_by(retraining_move.c.number)
        with self._database.read() as connection:
            _get(connection, job_id)
            return [JobMove(*row) for row in connection.execute(statement)]

    def claim(self, job_id: str, owner: str, now: datetime, until: datetime) -> Claim:
        free = or_(_job.lease_until.is_(None), _job.lease_until <= now, _job.lease_owner == owner)
        with self._database.write() as connection:
            _get(connection, job_id)
            taken = connection.execute(
                update(retraining_job)
                .where(_job.job_id == job_id, _job.state.notin_(list(ENDED)), free)
                .values(lease_owner=owner, lease_until=until, fence=_job.fence + 1)
            )
            job = _get(connection, job_id)
            if not taken.rowcount:
                why = "has ended" if job.state in ENDED else "is being worked on"
                raise ConflictError(f"job_id: {job_id!r} {why}. Read it again.")
        return Claim(job, owner, job.fence, until)

    def renew(self, claim: Claim, until: datetime, progress: Mapping[str, Any] | None = None) -> Claim:
        told = {} if progress is None else {"detail": as_json("detail", {**claim.job.detail, PROGRESS: dict(progress)})}
        with self._database.write() as connection:
            self._hold(connection, claim, lease_until=until, **told)
        return replace(claim, until=until)

    def release(self, claim: Claim) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(retraining_job)
                .where(_job.job_id == claim.job.job_id, _job.fence == claim.fence)
                .values(lease_owner=None, lease_until=None)
            )

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
        check_text("reason", reason)
        now, job = at or utc_now(), claim.job
        if to not in MOVES[job.state]:
            raise ConflictError(f"state: {job.state} cannot become {to}. It may become {', '.join(MOVES[job.state])}.")
        moved = replace(
            job,
            state=to,
            moves=job.moves + 1,
            detail=as_json("detail", {**_without_progress(job.detail), **(detail or {})}),
            not_before=not_before,
            started_at=job.started_at or (now if to == "SNAPSHOTTED" else None),
            completed_at=now if to in ENDED else None,
            error_message=reason if to in {"FAILED", "ROLLED_BACK"} else None,
        )
        changed = ("state", "moves", "detail", "not_before", "started_at", "completed_at", "error_message")
        with self._database.write() as connection:
            self._hold(connection, claim, **{name: getattr(moved, name) for name in changed})
            _log_move(connection, JobMove(job.job_id, moved.moves, job.state, to, claim.fence, reason, now))
            moved = replace(moved, cancel_requested=_get(connection, job.job_id).cancel_requested)
        return replace(claim, job=moved)

    def request_cancel(self, job_id: str) -> RetrainingJob:
        with self._database.write() as connection:
            job = _get(connection, job_id)
            if job.state in ENDED:
                raise ConflictError(f"job_id: {job_id!r} has ended ({job.state}). Nothing is left to cancel.")
            connection.execute(
                update(retraining_job).where(_job.job_id == job_id).values(cancel_requested=True, not_before=None)
            )
            return _get(connection, job_id)

    def add_look(self, look: GateLook) -> None:
        row = {name: getattr(look, name) for name in _LOOK}
        row["evidence"] = as_json("evidence", look.evidence)
        with self._database.write() as connection:
            registry_sql.lock(connection, look.model_name)
            past = select(func.count()).where(gate_look.c.model_name == look.model_name)
            if connection.scalar(past) != look.number - 1:
                raise ConflictError(f"number: look {look.number} of {look.model_name!r} was taken. Look again.")
            connection.execute(insert(gate_look).values(**row))

    def looks(self, model_name: str) -> list[GateLook]:
        columns = (gate_look.c[name] for name in _LOOK)
        statement = select(*columns).where(gate_look.c.model_name == model_name).order_by(gate_look.c.number)
        with self._database.read() as connection:
            return [GateLook(*row) for row in connection.execute(statement)]

    def add_version(self, version: ModelVersion) -> ModelVersion:
        with self._database.write() as connection:
            return registry_sql.add_version(connection, version)

    def get_version(self, version_id: str) -> ModelVersion:
        with self._database.read() as connection:
            return registry_sql.get_version(connection, version_id)

    def versions(self, model_name: str | None = None) -> list[ModelVersion]:
        with self._database.read() as connection:
            return registry_sql.versions(connection, model_name)

    def retire(self, version_id: str, at: datetime) -> ModelVersion:
        with self._database.write() as connection:
            return registry_sql.retire(connection, version_id, at)

    def deployment(self, model_name: str) -> Deployment:
        with self._database.read() as connection:
            return registry_sql.deployment(connection, model_name)

    def deploy(self, entry: LedgerEntry, wanted: Deployment) -> Deployment:
        with self._database.write() as connection:
            deployed = registry_sql.deploy(connection, entry, wanted)
            told = {"generation": entry.generation, "version": entry.to_version, "reason": entry.reason}
            audit_sql.append(connection, Act(entry.actor, f"model.{entry.action}", entry.model_name, told))
            return deployed

    def ledger(self, model_name: str) -> list[LedgerEntry]:
        with self._database.read() as connection:
            return registry_sql.ledger(connection, model_name)

    @staticmethod
    def _hold(connection: Connection, claim: Claim, **values: Any) -> None:
        """Change a job that the claim still holds at the move that it saw."""
        mine = (_job.job_id == claim.job.job_id, _job.fence == claim.fence, _job.moves == claim.job.moves)
        if not connection.execute(update(retraining_job).where(*mine).values(**values)).rowcount:
            raise ConflictError(f"job_id: {claim.job.job_id!r} was taken over or moved by another worker. Leave it.")


def _without_progress(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name != PROGRESS}


def _get(connection: Connection, job_id: str) -> RetrainingJob:
    check_text("job_id", job_id)
    row = connection.execute(select(*(_job[name] for name in _JOB)).where(_job.job_id == job_id)).first()
    if row is None:
        raise NotFoundError("retraining job", job_id)
    return RetrainingJob(*row)


def _log_move(connection: Connection, move: JobMove) -> None:
    connection.execute(insert(retraining_move).values({name: getattr(move, name) for name in _MOVE}))
