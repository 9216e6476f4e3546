"""One transaction in which feedback is judged."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from ism.domain.audit import Act
from ism.storage import audit_sql, log_sql
from ism.storage import feedback_schema as tables
from ism.storage.actor_sql import ActorTables
from ism.storage.dialects import upsert
from ism.storage.feedback_sql import cursor_of, move_cursor
from ism.storage.label_sql import LabelTables
from ism.storage.rows import utc_now
from ism.storage.trend_sql import Said, said_by_model, said_by_topic, said_over_time
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

    def tell(self, act: Act) -> None:
        """Write an entry into the audit log, with what else happens here."""
        audit_sql.append(self._connection, act)

    def take_cursor(self, consumer: str) -> int:
        """The last event that a consumer has handled; others that want the same cursor wait for this transaction."""
        row = {"consumer": consumer, "sequence": 0, "updated_at": utc_now()}
        self._connection.execute(upsert(self._connection, tables.cursor, ("sequence",)), [row])  # locks it as it is
        return cursor_of(self._connection, consumer)

    def cursor(self, consumer: str) -> int:
        """The same without waiting."""
        return cursor_of(self._connection, consumer)

    def move_cursor(self, consumer: str, sequence: int) -> None:
        """Note that all events up to ``sequence`` are handled."""
        move_cursor(self._connection, consumer, sequence)

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

    def said_over_time(self, after: datetime, until: datetime, by_hour: bool) -> list[Said]:
        """Statements by hour or day, the oldest first."""
        return said_over_time(self._connection, after, until, by_hour)

    def said_by_topic(self, after: datetime, until: datetime) -> list[Said]:
        """Statements by topic, the most frequent first."""
        return said_by_topic(self._connection, after, until)

    def said_by_model(self, after: datetime, until: datetime) -> dict[str | None, Said]:
        """Statements by the model that they name; under None those that name none, as outcomes do."""
        return said_by_model(self._connection, after, until)

    def note(self, key: str, default: object = None) -> object:
        """A JSON value by name."""
        return log_sql.one_setting(self._connection, key, default)

    def put_note(self, key: str, value: object) -> None:
        """Store a JSON value under a name."""
        log_sql.put_setting(self._connection, key, value)
