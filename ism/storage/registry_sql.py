"""Model versions and what serves: functions on an open transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, text, update

from ism.domain.errors import ConflictError, NotFoundError
from ism.domain.retraining import Deployment, LedgerEntry, ModelVersion
from ism.storage.retraining_schema import model_ledger, model_pointer, model_version
from ism.storage.rows import as_json, check_identifier, check_text, check_time

_VERSION = tuple(ModelVersion.__dataclass_fields__)
_POINTER = tuple(Deployment.__dataclass_fields__)
_ENTRY = tuple(LedgerEntry.__dataclass_fields__)
_version, _pointer = model_version.c, model_pointer.c


def lock(connection: Connection, model_name: str) -> None:
    """Make writers of one model take turns until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        key = f"ism-model-{model_name}"
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def add_version(connection: Connection, version: ModelVersion) -> ModelVersion:
    """Insert a version under the next number; what its job stored before is returned as it is."""
    for name in ("version_id", "model_name"):
        check_identifier(name, getattr(version, name))
    check_time("created_at", version.created_at)
    lock(connection, version.model_name)
    if version.job_id is not None:
        stored = connection.execute(_versions().where(_version.job_id == version.job_id)).first()
        if stored is not None:
            return ModelVersion(*stored)
    last = connection.scalar(select(func.max(_version.number)).where(_version.model_name == version.model_name))
    version = replace(version, number=(last or 0) + 1)
    row = {name: getattr(version, name) for name in _VERSION}
    for name in ("files", "params", "metrics"):
        row[name] = as_json(name, row[name])
    connection.execute(insert(model_version).values(**row))
    return version


def get_version(connection: Connection, version_id: str) -> ModelVersion:
    """One version, or NotFoundError."""
    check_text("version_id", version_id)
    row = connection.execute(_versions().where(_version.version_id == version_id)).first()
    if row is None:
        raise NotFoundError("model version", version_id)
    return ModelVersion(*row)


def versions(connection: Connection, model_name: str | None) -> list[ModelVersion]:
    """Versions by name, newest first."""
    statement = _versions().order_by(_version.model_name, _version.number.desc())
    if model_name is not None:
        statement = statement.where(_version.model_name == model_name)
    return [ModelVersion(*row) for row in connection.execute(statement)]


def retire(connection: Connection, version_id: str, at: datetime) -> ModelVersion:
    """Set ``retired_at`` unless the version is needed."""
    version = get_version(connection, version_id)
    lock(connection, version.model_name)
    serving = deployment(connection, version.model_name)
    if version_id in {serving.champion, serving.previous, serving.challenger}:
        raise ConflictError(f"version_id: {version_id!r} serves or can be returned to. Promote another one first.")
    connection.execute(update(model_version).where(_version.version_id == version_id).values(retired_at=at))
    return get_version(connection, version_id)


def deployment(connection: Connection, model_name: str) -> Deployment:
    """What serves under a name."""
    check_text("model_name", model_name)
    row = connection.execute(
        select(*(_pointer[name] for name in _POINTER)).where(_pointer.model_name == model_name)
    ).first()
    return Deployment(model_name) if row is None else Deployment(*row)


def deploy(connection: Connection, entry: LedgerEntry, wanted: Deployment) -> Deployment:
    """Move the pointer from the generation before ``wanted``, and write the ledger row."""
    lock(connection, wanted.model_name)
    seen = deployment(connection, wanted.model_name)
    if seen.generation != wanted.generation - 1:
        raise ConflictError(
            f"{wanted.model_name}: generation {wanted.generation - 1} was expected and {seen.generation} is stored; "
            "somebody else changed what serves. Look at it again."
        )
    values = {name: getattr(wanted, name) for name in _POINTER}
    if seen.generation:
        moved = connection.execute(
            update(model_pointer)
            .where(_pointer.model_name == wanted.model_name, _pointer.generation == seen.generation)
            .values(**values)
        )
        if not moved.rowcount:
            raise ConflictError(f"{wanted.model_name}: somebody else changed what serves. Look at it again.")
    else:
        connection.execute(insert(model_pointer).values(**values))
    connection.execute(insert(model_ledger).values({name: getattr(entry, name) for name in _ENTRY}))
    return wanted


def ledger(connection: Connection, model_name: str) -> list[LedgerEntry]:
    """Every change, in order."""
    columns = (model_ledger.c[name] for name in _ENTRY)
    statement = select(*columns).where(model_ledger.c.model_name == model_name).order_by(model_ledger.c.generation)
    return [LedgerEntry(*row) for row in connection.execute(statement)]


def _versions() -> Select[Any]:
    return select(*(_version[name] for name in _VERSION))
