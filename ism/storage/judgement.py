"""One transaction in which feedback is judged."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from ism.domain.feedback import FeedbackEvent, StoredEvent
from ism.storage import feedback_schema as tables
from ism.storage import log_sql
from ism.storage.actor_sql import ActorTables
from ism.storage.label_sql import LabelTables
from ism.storage.trigger_sql import TriggerTables


class Judgements:
    """What the judges of feedback read and write: all of it happens, or none.

    Args:
        connection: an open transaction; a writing one where anything is written.

    Attributes:
        labels: statements, labels and what was shown.
        actors: trust and quarantine.
        triggers: decisions and requests.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.labels = LabelTables(connection)
        self.actors = ActorTables(connection)
        self.triggers = TriggerTables(connection)

    def take_cursor(self, consumer: str, at: datetime) -> int:
        """The last event that a consumer has handled; others that want the same cursor wait for this transaction."""
        table = tables.cursor
        query = select(table.c.sequence).where(table.c.consumer == consumer)
        found: int | None = self._connection.scalar(query.with_for_update())
        if found is None:
            self._connection.execute(insert(table).values(consumer=consumer, sequence=0, updated_at=at))
            return 0
        return found

    def cursor(self, consumer: str) -> int:
        """The same for readers."""
        table = tables.cursor
        return self._connection.scalar(select(table.c.sequence).where(table.c.consumer == consumer)) or 0

    def move_cursor(self, consumer: str, sequence: int, at: datetime) -> None:
        """Note that all events up to ``sequence`` are handled."""
        table = tables.cursor
        moved = update(table).where(table.c.consumer == consumer).values(sequence=sequence, updated_at=at)
        self._connection.execute(moved)

    def events_after(self, sequence: int, limit: int) -> list[StoredEvent]:
        """The next events of the log."""
        table = tables.event
        query = select(table).where(table.c.sequence > sequence).order_by(table.c.sequence).limit(limit)
        names = FeedbackEvent.__dataclass_fields__
        return [
            StoredEvent(
                row["sequence"],
                FeedbackEvent(**{name: row[name] for name in names}),
                row["recommendation_id"],
                row["actor_id"],
                row["model_name"],
            )
            for row in self._connection.execute(query).mappings()
        ]

    def metrics(self, name: str, component: str, limit: int) -> list[float]:
        """The latest values of a system metric, the latest first."""
        table = tables.event
        value = table.c.data["value"].as_float()
        query = (
            select(value)
            .where(
                table.c.event_type == "system_metric",
                table.c.data["metric_name"].as_string() == name,
                table.c.data["component"].as_string() == component,
            )
            .order_by(table.c.sequence.desc())
            .limit(limit)
        )
        return [float(found) for found in self._connection.scalars(query)]

    def note(self, key: str, default: object = None) -> object:
        """A JSON value by name."""
        return log_sql.one_setting(self._connection, key, default)

    def put_note(self, key: str, value: object) -> None:
        """Store a JSON value under a name."""
        log_sql.put_setting(self._connection, key, value)
