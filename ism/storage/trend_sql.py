"""What was said over time, counted by the database: functions on an open transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Integer, case, cast, func, select

from ism.storage.feedback_schema import statement

POSITIVE, NEGATIVE = 4.0, 2.0  # ratings from 4 up, and from 2 down (CONTRACT.md)


@dataclass(frozen=True, slots=True)
class Said:
    """Statements of one step of time, or on one topic.

    Attributes:
        name: start of the step (ISO 8601, UTC, to the hour or the day), or the topic.
        statements: all that were made, those in quarantine left out.
        held: in quarantine.
        ratings: those that carry a rating, of which ``positive`` and ``negative``.
        mean: rating, 1..5; None where there is none.
        kinder, harsher: remarks that were read as friendly, or not.
    """

    name: str
    statements: int
    held: int
    ratings: int
    positive: int
    negative: int
    mean: float | None
    kinder: int
    harsher: int

    @property
    def at(self) -> datetime:
        """Start of the step."""
        return datetime.fromisoformat(self.name).replace(tzinfo=UTC)


def said_over_time(connection: Connection, after: datetime, until: datetime, by_hour: bool) -> list[Said]:
    """Statements by hour or day, the oldest first; steps without any are left out."""
    return _counted(connection, _step(connection, by_hour), after, until)


def said_by_topic(connection: Connection, after: datetime, until: datetime) -> list[Said]:
    """Statements by topic, the most frequent first; those without a topic are left out."""
    found = _counted(connection, statement.c.topic, after, until)
    return sorted((each for each in found if each.name), key=lambda each: (-each.statements, each.name))


def said_by_model(connection: Connection, after: datetime, until: datetime) -> dict[str | None, Said]:
    """Statements by the model that they name; under None those that name none, as outcomes do."""
    return {each.name or None: each for each in _counted(connection, statement.c.model_name, after, until)}


def _counted(connection: Connection, key: ColumnElement[Any], after: datetime, until: datetime) -> list[Said]:
    table = statement.c
    counts = table.counted
    rated = counts & table.rating.is_not(None)
    query = (
        select(
            key.label("name"),
            _number(counts),
            _number(~counts),
            _number(rated),
            _number(counts & (table.rating >= POSITIVE)),
            _number(counts & (table.rating <= NEGATIVE)),
            cast(func.avg(case((rated, table.rating))), Float),
            _number(counts & (table.sentiment == "positive")),
            _number(counts & (table.sentiment == "negative")),
        )
        .where(table.recorded_at >= after, table.recorded_at < until)
        .group_by(key)
        .order_by(key)
    )
    return [Said(*row) for row in connection.execute(query)]


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(case((condition, 1), else_=0)), 0), Integer)


def _step(connection: Connection, by_hour: bool) -> ColumnElement[str]:
    at = statement.c.recorded_at
    if connection.dialect.name == "sqlite":
        return func.strftime("%Y-%m-%dT%H:00" if by_hour else "%Y-%m-%d", at)
    return func.to_char(func.timezone("UTC", at), 'YYYY-MM-DD"T"HH24":00"' if by_hour else "YYYY-MM-DD")
