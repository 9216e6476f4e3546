"""Statements and labels: functions on an open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, Table, and_, func, insert, select, update

from ism.domain.judgement import Exposure, Label, Statement
from ism.storage import feedback_schema as tables
from ism.storage import schema

T = TypeVar("T")
_MOST_PARAMETERS = 10_000  # a statement may have 32,766 on SQLite


class LabelTables:
    """Statements, labels, and what was shown.

    Args:
        connection: an open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- what was shown ---

    def exposures(self, recommendation_ids: Iterable[str]) -> dict[str, Exposure]:
        """Recommendations by identifier; those that are not logged are left out."""
        table = schema.recommendation
        query = _exposures()
        found: dict[str, Exposure] = {}
        for some in chunks(recommendation_ids):
            for row in self._connection.execute(query.where(table.c.recommendation_id.in_(some))).mappings():
                found[row["recommendation_id"]] = Exposure(**row)
        return found

    def shown(self, after: datetime, until: datetime) -> list[Exposure]:
        """All that was shown in a time, in order."""
        request = schema.request.c
        query = _exposures().where(request.created_at > after, request.created_at <= until)
        ordered = query.order_by(request.created_at, request.request_id, schema.recommendation.c.rank)
        return [Exposure(**row) for row in self._connection.execute(ordered).mappings()]

    def views(self, after: datetime, until: datetime) -> list[tuple[str, int, float]]:
        """Identifier, rank and fused score of all that was shown in a time, for the examination model."""
        table = schema.recommendation
        query = (
            select(table.c.recommendation_id, table.c.rank, table.c.final_score)
            .join_from(table, schema.request)
            .where(schema.request.c.created_at > after, schema.request.c.created_at <= until)
        )
        return [(row[0], row[1], row[2]) for row in self._connection.execute(query)]

    def outcomes(self, recommendation_ids: Iterable[str]) -> list[RowMapping]:
        """``recommendation_id``, ``data`` and ``event_time`` of every outcome event, held ones left out."""
        table, held = tables.event, tables.quarantine
        query = (
            select(table.c.recommendation_id, table.c.data, table.c.event_time)
            .outerjoin(held, and_(held.c.event_id == table.c.event_id, held.c.state != "released"))
            .where(table.c.event_type == "match_outcome", held.c.event_id.is_(None))
        )
        rows: list[RowMapping] = []
        for some in chunks(recommendation_ids):
            rows += self._connection.execute(query.where(table.c.recommendation_id.in_(some))).mappings()
        return rows

    # --- statements ---

    def add_statements(self, statements: Sequence[Statement]) -> None:
        """Append; an event makes at most one."""
        if statements:
            self._connection.execute(insert(tables.statement), [as_row(item) for item in statements])

    def statements_on(self, recommendation_ids: Iterable[str]) -> list[Statement]:
        """Those that count and take a side, about some recommendations."""
        table = tables.statement
        found: list[Statement] = []
        for some in chunks(recommendation_ids):
            found += self._statements(table.c.recommendation_id.in_(some), table.c.counted, table.c.value.is_not(None))
        return found

    def statements_since(self, after: datetime) -> list[Statement]:
        """Those that count and take a side, about anything, recorded after a moment."""
        table = tables.statement
        return self._statements(table.c.recorded_at > after, table.c.counted, table.c.value.is_not(None))

    def statements_of(self, event_ids: Iterable[str]) -> list[Statement]:
        """By their events."""
        found: list[Statement] = []
        for some in chunks(event_ids):
            found += self._statements(tables.statement.c.event_id.in_(some))
        return found

    def recent_of(self, actor_ids: Iterable[str], after: datetime) -> list[Statement]:
        """All that some actors said after a moment, in quarantine or not."""
        table = tables.statement
        found: list[Statement] = []
        for some in chunks(actor_ids):
            found += self._statements(table.c.actor_id.in_(some), table.c.recorded_at > after)
        return found

    def same_text(self, digests: Iterable[str], after: datetime) -> list[Statement]:
        """All with one of some texts after a moment, in quarantine or not."""
        table = tables.statement
        found: list[Statement] = []
        for some in chunks(digests):
            found += self._statements(table.c.text_digest.in_(some), table.c.recorded_at > after)
        return found

    def count_again(self, event_ids: Iterable[str], counted: bool) -> None:
        """Put statements in or out of what counts."""
        table = tables.statement
        for some in chunks(event_ids):
            self._connection.execute(update(table).where(table.c.event_id.in_(some)).values(counted=counted))

    def ratings(self, model: str, limit: int) -> list[tuple[str, float]]:
        """Actor and rating of the latest ratings of a model that count, the latest first."""
        table = tables.statement
        query = (
            select(table.c.actor_id, table.c.rating)
            .where(table.c.model_name == model, table.c.rating.is_not(None), table.c.counted)
            .order_by(table.c.sequence.desc())
            .limit(limit)
        )
        return [(row[0], row[1]) for row in self._connection.execute(query)]

    def volume(self, model: str, after: int) -> dict[str, int]:
        """How many statements that count each actor made about a model, or about all of them, after an event."""
        table = tables.statement
        query = (
            select(table.c.actor_id, func.count())
            .where(
                table.c.sequence > after,
                table.c.counted,
                (table.c.model_name == model) | table.c.model_name.is_(None),
                table.c.rating.is_not(None) | table.c.value.is_not(None),
            )
            .group_by(table.c.actor_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    # --- labels ---

    def latest_labels(self, recommendation_ids: Iterable[str]) -> dict[str, Label]:
        """The newest label of each recommendation that has one."""
        found: dict[str, Label] = {}
        for some in chunks(recommendation_ids):
            query = select(tables.label).where(tables.label.c.recommendation_id.in_(some))
            for row in self._connection.execute(query.order_by(tables.label.c.version)).mappings():
                found[row["recommendation_id"]] = Label(**row)
        return found

    def not_before(self, now: datetime) -> datetime:
        """``now``, or the moment of the newest label where clocks differ: what was written earlier is never later."""
        table = tables.label
        latest = self._connection.scalar(select(table.c.as_of).order_by(table.c.version.desc()).limit(1))
        return now if latest is None else max(now, latest)

    def last_version(self, as_of: datetime) -> int:
        """Version of the newest label that was written up to a moment; 0 when there is none."""
        table = tables.label
        return self._connection.scalar(select(func.max(table.c.version)).where(table.c.as_of <= as_of)) or 0

    def labels_up_to(self, version: int) -> list[Label]:
        """The newest label of every recommendation up to a version, by version."""
        table = tables.label
        newest = select(func.max(table.c.version)).where(table.c.version <= version).group_by(table.c.recommendation_id)
        query = select(table).where(table.c.version.in_(newest)).order_by(table.c.version)
        return [Label(**row) for row in self._connection.execute(query).mappings()]

    def labels_of(self, recommendation_ids: Iterable[str]) -> list[Label]:
        """Every label that some recommendations ever had, oldest first."""
        found: list[Label] = []
        for some in chunks(recommendation_ids):
            query = select(tables.label).where(tables.label.c.recommendation_id.in_(some))
            found += [Label(**row) for row in self._connection.execute(query).mappings()]
        return sorted(found, key=lambda label: label.version)

    def label_history(self, recommendation_id: str) -> list[Label]:
        """Every label that a recommendation ever had, oldest first."""
        table = tables.label
        query = select(table).where(table.c.recommendation_id == recommendation_id).order_by(table.c.version)
        return [Label(**row) for row in self._connection.execute(query).mappings()]

    def censored_shown(self, after: datetime, until: datetime) -> list[str]:
        """Recommendations shown in a time whose newest label is censored."""
        table, newer = tables.label, tables.label.alias()
        superseded = select(newer.c.version).where(
            newer.c.recommendation_id == table.c.recommendation_id, newer.c.version > table.c.version
        )
        query = select(table.c.recommendation_id).where(
            table.c.state == "censored", table.c.shown_at > after, table.c.shown_at <= until, ~superseded.exists()
        )
        return list(self._connection.scalars(query))

    def append_labels(self, labels: Sequence[Label]) -> None:
        """Write labels behind all others; their ``version`` is given here."""
        if not labels:
            return
        counter = schema.counter
        here = counter.c.name == tables.LABEL_COUNTER
        # The row stays locked until the commit, so versions are in the order of commits.
        self._connection.execute(update(counter).where(here).values(value=counter.c.value + len(labels)))
        last = self._connection.execute(select(counter.c.value).where(here)).scalar_one()
        first = last - len(labels) + 1
        rows = [{**as_row(item), "version": first + place} for place, item in enumerate(labels)]
        self._connection.execute(insert(tables.label), rows)

    def _statements(self, *where: Any) -> list[Statement]:
        table = tables.statement
        return [
            Statement(**row)
            for row in self._connection.execute(select(table).where(*where).order_by(table.c.sequence)).mappings()
        ]


def as_row(value: Any) -> dict[str, Any]:
    """A value's fields by name; what they hold is not copied, as `dataclasses.asdict` would."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def chunks(identifiers: Iterable[T]) -> Iterator[list[T]]:
    """Identifiers in lists that a statement can take."""
    whole = list(identifiers)
    for start in range(0, len(whole), _MOST_PARAMETERS):
        yield whole[start : start + _MOST_PARAMETERS]


def _exposures() -> Select[Any]:
    request = schema.request.c
    renamed = {
        "shown_at": request.created_at.label("shown_at"),
        "offer": request.offer,
        "model_versions": request.model_versions,
    }
    columns = [renamed.get(item.name, _column(schema.recommendation, item.name)) for item in fields(Exposure)]
    return select(*columns).join_from(schema.recommendation, schema.request)


def _column(table: Table, name: str) -> Any:
    return table.c.get(name)
