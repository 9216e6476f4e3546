"""The fusion's part of the store: functions on an open transaction, and the methods that open one."""
# ruff: noqa: D102 - the contract, `FusionStore`, documents every method

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, insert, or_, select, tuple_, update

from ism.domain.audit import Act
from ism.domain.engine import FusionModel
from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from ism.domain.fusion import ActiveFusion, FusionSwitch, MaturedOutcome, WeightStep
from ism.storage import audit_sql, schema
from ism.storage.database import Database
from ism.storage.dialects import upsert
from ism.storage.fusion_base import Follow, FusionStore
from ism.storage.fusion_schema import (
    ACTIVE,
    FUSION_COUNTER,
    MODEL_TYPES,
    fusion_active,
    fusion_model,
    fusion_step,
    fusion_switch,
)
from ism.storage.rows import as_json, check_choice, check_identifier, check_number, check_text, check_time, utc_now

_MOST_PARAMETERS = 10_000  # a statement may have 32,766 on SQLite
_UNIT = check_number(schema.UNIT, "a share of 1")
_MODEL_TYPE = check_choice(MODEL_TYPES)
_SWITCH = tuple(FusionSwitch.__dataclass_fields__)
_OUTCOME = tuple(MaturedOutcome.__dataclass_fields__)
_IN_ORDER = (fusion_step.c.matured_at, fusion_step.c.recommendation_id)


class SqlFusionStore(FusionStore):
    """Keeps what `FusionStore` promises in the tables of `ism.storage.fusion_schema`."""

    _database: Database

    def add_fusion_model(self, model: FusionModel) -> FusionModel:
        with self._database.write() as connection:
            _count_change(connection)
            return add_model(connection, model)

    def fusion_models(self) -> list[FusionModel]:
        with self._database.read() as connection:
            return latest_models(connection)

    def get_fusion_model(self, model_id: str, version: int | None = None) -> FusionModel:
        with self._database.read() as connection:
            return one_model(connection, model_id, version)

    def active_fusion(self) -> ActiveFusion | None:
        with self._database.read() as connection:
            return active(connection)

    def switch_fusion(
        self, model_id: str, version: int, *, before: ActiveFusion, actor: str, reason: str, reverts: int | None = None
    ) -> FusionSwitch:
        check_identifier("actor", actor)
        check_text("reason", reason)
        with self._database.write() as connection:
            _count_change(connection)
            number = before.generation + 1
            previous = (before.model_id, before.version)
            done = FusionSwitch(number, model_id, version, *previous, actor, reason, reverts, utc_now())
            switch(connection, done)
            told = {"version": version, "before": before.model_id, "reason": reason}
            audit_sql.append(connection, Act(actor, "fusion.revert" if reverts else "fusion.switch", model_id, told))
            return done

    def fusion_switches(self, limit: int = 100) -> list[FusionSwitch]:
        chosen = select(*(fusion_switch.c[name] for name in _SWITCH)).order_by(fusion_switch.c.number.desc())
        with self._database.read() as connection:
            return [FusionSwitch(*row) for row in connection.execute(chosen.limit(limit))]

    def follow_outcomes(self, outcomes: Sequence[MaturedOutcome], follow: Follow) -> int:
        for outcome in outcomes:
            _check_outcome(outcome)
        with self._database.write() as connection:
            _count_change(connection)
            return take_in(connection, outcomes, follow)

    def last_weight_step(self) -> WeightStep | None:
        found = self.weight_steps(1)
        return found[0] if found else None

    def weight_steps(self, limit: int = 1000) -> list[WeightStep]:
        newest = select(fusion_step).order_by(*(column.desc() for column in _IN_ORDER)).limit(limit)
        with self._database.read() as connection:
            return [_step(row) for row in reversed(connection.execute(newest).all())]

    def fusion_generation(self) -> int:
        counter = schema.counter
        with self._database.read() as connection:
            return int(connection.scalar(select(counter.c.value).where(counter.c.name == FUSION_COUNTER)) or 0)


def _count_change(connection: Connection) -> None:
    """Raise the fusion's generation; its row lock makes these writes queue up on PostgreSQL, as SQLite's do anyway."""
    counter = schema.counter
    done = connection.execute(update(counter).where(counter.c.name == FUSION_COUNTER).values(value=counter.c.value + 1))
    if done.rowcount != 1:
        raise StorageError(f"{counter.name}: the row {FUSION_COUNTER!r} is missing. Restore a backup.")


def add_model(connection: Connection, model: FusionModel) -> FusionModel:
    """Append the next version of a model."""
    check_identifier("model_id", model.model_id)
    _MODEL_TYPE("model_type", model.model_type)
    check_time("last_updated", model.last_updated)
    stored = select(func.max(fusion_model.c.version)).where(fusion_model.c.model_id == model.model_id)
    row = {
        "model_id": model.model_id,
        "version": (connection.scalar(stored) or 0) + 1,
        "model_type": model.model_type,
        "last_updated": model.last_updated,
        **{name: as_json(name, getattr(model, name)) for name in ("weights", "parameters", "performance_metrics")},
    }
    connection.execute(insert(fusion_model), [row])
    return FusionModel(**row)


def latest_models(connection: Connection) -> list[FusionModel]:
    """The latest version of every model."""
    newest = select(fusion_model.c.model_id, func.max(fusion_model.c.version)).group_by(fusion_model.c.model_id)
    chosen = select(fusion_model).where(tuple_(fusion_model.c.model_id, fusion_model.c.version).in_(newest))
    return [FusionModel(**row._mapping) for row in connection.execute(chosen.order_by(fusion_model.c.model_id))]


def one_model(connection: Connection, model_id: str, version: int | None = None) -> FusionModel:
    """A version of a model, or NotFoundError."""
    check_text("model_id", model_id)
    chosen = select(fusion_model).where(fusion_model.c.model_id == model_id).order_by(fusion_model.c.version.desc())
    if version is not None:
        chosen = chosen.where(fusion_model.c.version == version)
    row = connection.execute(chosen.limit(1)).first()
    if row is None:
        raise NotFoundError("fusion model", model_id if version is None else f"{model_id} version {version}")
    return FusionModel(**row._mapping)


def active(connection: Connection) -> ActiveFusion | None:
    """What was switched to last."""
    columns = (fusion_active.c.model_id, fusion_active.c.version, fusion_active.c.generation)
    row = connection.execute(select(*columns).where(fusion_active.c.name == ACTIVE)).first()
    return None if row is None else ActiveFusion(*row)


def switch(connection: Connection, wanted: FusionSwitch) -> None:
    """Move the pointer and log it; ``wanted.number`` says which switch came before."""
    one_model(connection, wanted.model_id, wanted.version)
    now = active(connection)
    if (now.generation if now else 0) != wanted.number - 1:
        raise ConflictError("fusion: another model was made active meanwhile. Read which one and retry.")
    pointer = {
        "name": ACTIVE,
        "model_id": wanted.model_id,
        "version": wanted.version,
        "generation": wanted.number,
    }
    connection.execute(upsert(connection, fusion_active, ()), [pointer])
    connection.execute(insert(fusion_switch), [{name: getattr(wanted, name) for name in _SWITCH}])


def take_in(connection: Connection, outcomes: Sequence[MaturedOutcome], follow: Follow) -> int:
    """Insert new outcomes and make the steps from the first of them on again."""
    given = {outcome.recommendation_id: outcome for outcome in reversed(outcomes)}  # the first of several counts
    for identifier in _stored(connection, list(given)):
        del given[identifier]
    if not given:
        return 0
    fresh = sorted(given.values(), key=lambda outcome: (outcome.matured_at, outcome.recommendation_id))
    first = (fresh[0].matured_at, fresh[0].recommendation_id)
    before = connection.execute(
        select(fusion_step.c.weights).where(_at(first, later=False)).order_by(*(c.desc() for c in _IN_ORDER)).limit(1)
    ).first()
    later = [_step(row).outcome for row in connection.execute(select(fusion_step).where(_at(first, later=True)))]
    ordered = sorted([*fresh, *later], key=lambda outcome: (outcome.matured_at, outcome.recommendation_id))
    steps = follow(None if before is None else before[0], ordered)
    rows = [_row(step) for step in steps]
    added = [row for row in rows if row["recommendation_id"] in given]
    changed = [
        {"key": row["recommendation_id"], "new_weights": row["weights"], "new_loss": row["loss"]}
        for row in rows
        if row["recommendation_id"] not in given
    ]
    connection.execute(insert(fusion_step), added)
    if changed:
        moved = update(fusion_step).where(fusion_step.c.recommendation_id == bindparam("key"))
        connection.execute(moved.values(weights=bindparam("new_weights"), loss=bindparam("new_loss")), changed)
    return len(added)


def _at(key: tuple[Any, str], *, later: bool) -> ColumnElement[bool]:
    """Steps after (or before) a key; the key itself is not stored."""
    when, identifier = fusion_step.c.matured_at, fusion_step.c.recommendation_id
    if later:
        return or_(when > key[0], and_(when == key[0], identifier > key[1]))
    return or_(when < key[0], and_(when == key[0], identifier < key[1]))


def _stored(connection: Connection, identifiers: list[str]) -> list[str]:
    column, found = fusion_step.c.recommendation_id, []
    for start in range(0, len(identifiers), _MOST_PARAMETERS):
        some = identifiers[start : start + _MOST_PARAMETERS]
        found += list(connection.scalars(select(column).where(column.in_(some))))
    return found


def _check_outcome(outcome: MaturedOutcome) -> None:
    check_identifier("recommendation_id", outcome.recommendation_id)
    check_time("matured_at", outcome.matured_at)
    _UNIT("label", outcome.label)
    _UNIT("weight", outcome.weight)
    for name, score in outcome.scores.items():
        _UNIT(f"scores.{name}", score)
    if not outcome.scores:
        raise InvalidInputError("scores", {}, "Give the score of at least one engine.")


def _step(row: Row[Any]) -> WeightStep:
    values = row._mapping
    return WeightStep(MaturedOutcome(**{name: values[name] for name in _OUTCOME}), values["weights"], values["loss"])


def _row(step: WeightStep) -> dict[str, Any]:
    outcome = {name: getattr(step.outcome, name) for name in _OUTCOME}
    return {**outcome, "weights": as_json("weights", step.weights), "loss": step.loss}
