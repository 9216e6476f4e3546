"""Measurements and alerts in the database."""
# ruff: noqa: D102 - the contract, `MonitoringStore`, documents every method

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, literal_column, select, update

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.monitoring import Alert, MetricPoint
from ism.storage import feedback_schema, schema
from ism.storage.database import Database
from ism.storage.dialects import upsert
from ism.storage.monitoring_base import KEPT_DAYS, RESOLUTIONS, MonitoringStore
from ism.storage.monitoring_schema import alert, metric
from ism.storage.retraining_schema import retraining_job

_POINT = tuple(MetricPoint.__dataclass_fields__)
_MOST_PARAMETERS = 10_000  # a statement may have 32,766 on SQLite
_ALERT = tuple(Alert.__dataclass_fields__)


def _new(name: str) -> ColumnElement[Any]:
    return literal_column(f"excluded.{name}")


_MERGED: Mapping[str, ColumnElement[Any]] = {  # what several processes measured in the same minute
    "count": metric.c.count + _new("count"),
    "total": metric.c.total + _new("total"),
    "least": case((_new("least") < metric.c.least, _new("least")), else_=metric.c.least),
    "most": case((_new("most") > metric.c.most, _new("most")), else_=metric.c.most),
}


class SqlMonitoringStore(MonitoringStore):
    """Keeps what `MonitoringStore` promises in the tables of `ism.storage.monitoring_schema`.

    Args:
        database: whose schema is up to date.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_metrics(self, points: Sequence[MetricPoint], now: datetime, merge: bool = False) -> None:
        with self._database.write() as connection:
            if points:
                computed = _MERGED if merge else {}
                statement = upsert(connection, metric, tuple(computed), computed=computed)
                connection.execute(statement, [_row(point) for point in points])
            for fine, coarse in pairwise(RESOLUTIONS):
                _roll_up(connection, fine, coarse, now)
            for resolution, days in KEPT_DAYS.items():
                old = (metric.c.resolution_s == resolution, metric.c.at < now - timedelta(days=days))
                connection.execute(delete(metric).where(*old))

    def metrics(
        self, names: Collection[str], since: datetime, until: datetime, resolution_s: int | None = None
    ) -> list[MetricPoint]:
        resolution = resolution_s or resolution_for(since, datetime.now(UTC), until - since)
        with self._database.read() as connection:
            found = _points(connection, names, since, until, resolution)
            if resolution_s is None and resolution != RESOLUTIONS[0]:  # what no coarse interval has summed up yet
                ended = found[-1].at + timedelta(seconds=resolution) if found else since
                found += _points(connection, names, ended, until, RESOLUTIONS[0])
            return found

    def metric_names(self, prefix: str) -> list[str]:
        found = select(metric.c.name).where(metric.c.name.startswith(prefix, autoescape=True)).distinct()
        with self._database.read() as connection:
            return sorted(connection.scalars(found))

    def open_alert(self, new: Alert) -> bool:
        if self._is_open(new.cause):
            return False
        try:
            with self._database.write() as connection:
                connection.execute(insert(alert).values(**asdict(new), open_cause=new.cause))
        except ConflictError:
            if self._is_open(new.cause):  # another process was faster
                return False
            raise
        return True

    def _is_open(self, cause: str) -> bool:
        with self._database.read() as connection:
            return connection.scalar(select(alert.c.alert_id).where(alert.c.open_cause == cause)) is not None

    def change_alert(self, alert_id: str, values: Mapping[str, object]) -> Alert:
        unknown = set(values) - set(_ALERT)
        if unknown:
            raise InvalidInputError("values", sorted(unknown), f"Choose among {', '.join(_ALERT)}.")
        with self._database.write() as connection:
            state = _get(connection, alert_id).state
            if state == "resolved" and set(values) != {"told"}:
                raise ConflictError(f"alert_id: {alert_id!r} is resolved. Nothing is left to change.")
            more: dict[str, object] = {"open_cause": None} if values.get("state") == "resolved" else {}
            connection.execute(update(alert).where(alert.c.alert_id == alert_id).values(**values, **more))
            return _get(connection, alert_id)

    def alerts(self, *, resolved: bool, limit: int = 100, untold: bool = False) -> list[Alert]:
        is_resolved = alert.c.state == "resolved"
        statement = select(*(alert.c[name] for name in _ALERT)).where(is_resolved if resolved else ~is_resolved)
        if untold:
            statement = statement.where(alert.c.told.is_distinct_from("resolved" if resolved else "open"))
        statement = statement.order_by(alert.c.opened_at.desc(), alert.c.alert_id).limit(limit)
        with self._database.read() as connection:
            return [Alert(*row) for row in connection.execute(statement)]

    def count_alerts(self) -> int:
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(alert)) or 0

    def feedback_days(self, since: datetime, until: datetime) -> list[tuple[str, int, int, int, float]]:
        table = feedback_schema.statement
        query = select(table.c.recorded_at, table.c.rating).where(
            table.c.counted, table.c.rating.is_not(None), table.c.recorded_at >= since, table.c.recorded_at < until
        )
        days: dict[str, list[float]] = {}
        with self._database.read() as connection:
            for at, rating in connection.execute(query.order_by(table.c.recorded_at)):
                days.setdefault(at.date().isoformat(), []).append(rating)
        return [
            (day, len(all_), sum(r >= 4 for r in all_), sum(r <= 2 for r in all_), sum(all_))
            for day, all_ in days.items()
        ]

    def model_ratings(self, since: datetime, until: datetime) -> dict[str, tuple[int, float]]:
        table = feedback_schema.statement
        query = (
            select(table.c.model_name, func.count(), func.sum(table.c.rating))
            .where(table.c.counted, table.c.rating.is_not(None), table.c.model_name.is_not(None))
            .where(table.c.recorded_at >= since, table.c.recorded_at < until)
            .group_by(table.c.model_name)
        )
        with self._database.read() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    def job_states(self) -> dict[str, int]:
        state = retraining_job.c.state
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(select(state, func.count()).group_by(state))}

    def requests(self, since: datetime, until: datetime, limit: int) -> list[str]:
        table = schema.request
        query = select(table.c.request_id).where(table.c.created_at >= since, table.c.created_at < until)
        with self._database.read() as connection:
            found = connection.scalars(query.order_by(table.c.created_at.desc(), table.c.request_id).limit(limit))
            return list(found)[::-1]

    def offers(self, since: datetime, until: datetime) -> list[Mapping[str, Any]]:
        table = schema.request
        query = select(table.c.offer).where(table.c.created_at >= since, table.c.created_at < until)
        with self._database.read() as connection:
            return list(connection.scalars(query.order_by(table.c.created_at, table.c.request_id)))

    def shown_of(self, requests: Collection[str]) -> list[tuple[str, float, float, Mapping[str, float]]]:
        table, wanted = schema.recommendation, list(requests)
        query = select(table.c.request_id, table.c.final_score, table.c.confidence, table.c.engine_scores)
        found: list[tuple[str, float, float, Mapping[str, float]]] = []
        with self._database.read() as connection:
            for start in range(0, len(wanted), _MOST_PARAMETERS):
                some = query.where(table.c.request_id.in_(wanted[start : start + _MOST_PARAMETERS]))
                rows = connection.execute(some.order_by(table.c.request_id, table.c.rank))
                found += [(row[0], row[1], row[2], row[3]) for row in rows]
        return found

    def shown(self, since: datetime, until: datetime) -> list[tuple[str, float, float, Mapping[str, float]]]:
        table = schema.recommendation
        query = (
            select(table.c.request_id, table.c.final_score, table.c.confidence, table.c.engine_scores)
            .join_from(table, schema.request)
            .where(schema.request.c.created_at >= since, schema.request.c.created_at < until)
        )
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]

    def fused_by_all(self, since: datetime, until: datetime, engines: Collection[str]) -> int:
        table = schema.recommendation
        scored = [table.c.engine_scores[name].as_string().is_not(None) for name in engines]
        query = (
            select(func.count())
            .select_from(table)
            .join(schema.request)
            .where(schema.request.c.created_at >= since, schema.request.c.created_at < until)
            .where(table.c.rank == 1, *scored)  # a request is scored as a whole
        )
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def shown_total(self, since: datetime, until: datetime) -> tuple[int, int, float | None]:
        table = schema.recommendation
        query = (
            select(func.count(table.c.request_id.distinct()), func.count(), func.avg(table.c.confidence))
            .join_from(table, schema.request)
            .where(schema.request.c.created_at >= since, schema.request.c.created_at < until)
        )
        with self._database.read() as connection:
            requests, number, confidence = connection.execute(query).one()
        return requests, number, None if confidence is None else float(confidence)


def resolution_for(since: datetime, now: datetime, span: timedelta) -> int:
    """Seconds: the finest resolution kept since then that gives at most 400 points of a metric."""
    for resolution in RESOLUTIONS[:-1]:
        kept = now - since <= timedelta(days=KEPT_DAYS[resolution], minutes=5)
        if kept and span.total_seconds() / resolution <= 400:
            return resolution
    return RESOLUTIONS[-1]


def _points(
    connection: Connection, names: Collection[str], since: datetime, until: datetime, resolution: int
) -> list[MetricPoint]:
    columns = (metric.c[name] for name in _POINT)
    here = (metric.c.name.in_(list(names)), metric.c.resolution_s == resolution)
    statement = select(*columns).where(*here, metric.c.at >= since, metric.c.at < until)
    return [MetricPoint(*row) for row in connection.execute(statement.order_by(metric.c.at, metric.c.name))]


def _row(point: MetricPoint) -> dict[str, Any]:
    return {name: getattr(point, name) for name in _POINT}


def _roll_up(connection: Connection, fine: int, coarse: int, now: datetime) -> None:
    """Sum up the ended coarse intervals since the last one that is stored, the last one again."""
    end = floor_time(now, coarse)
    last = connection.scalar(select(func.max(metric.c.at)).where(metric.c.resolution_s == coarse))
    if last is not None and last >= end - timedelta(seconds=coarse):
        return
    start = last or end - timedelta(days=KEPT_DAYS[fine])
    columns = (metric.c[name] for name in _POINT)
    here = (metric.c.resolution_s == fine, metric.c.at >= start, metric.c.at < end)
    sums: dict[tuple[str, datetime], list[float]] = {}
    for row in connection.execute(select(*columns).where(*here)):
        point = MetricPoint(*row)
        key = (point.name, floor_time(point.at, coarse))
        old = sums.get(key, [0, 0.0, point.least, point.most])
        sums[key] = [
            old[0] + point.count,
            old[1] + point.total,
            min(old[2], point.least),
            max(old[3], point.most),
        ]
    rows = [
        {"name": k[0], "resolution_s": coarse, "at": k[1], "count": v[0], "total": v[1], "least": v[2], "most": v[3]}
        for k, v in sums.items()
    ]
    if rows:
        connection.execute(upsert(connection, metric, ()), rows)


def floor_time(at: datetime, seconds: int) -> datetime:
    """The last full multiple of so many seconds, UTC."""
    stamp = int(at.timestamp())
    return datetime.fromtimestamp(stamp - stamp % seconds, UTC)


def _get(connection: Connection, alert_id: str) -> Alert:
    row = connection.execute(select(*(alert.c[name] for name in _ALERT)).where(alert.c.alert_id == alert_id)).first()
    if row is None:
        raise NotFoundError("alert", alert_id)
    return Alert(*row)
