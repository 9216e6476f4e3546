"""The log of feedback: functions on an open transaction, and the store that runs each in one."""
# ruff: noqa: D102 - the contract, `FeedbackStore`, documents every method of the store

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select, text, update

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from ism.domain.feedback import DeadLetter, DeadLetterState, FeedbackEvent, IngestStatus, StoredEvent
from ism.storage import schema
from ism.storage.database import Database
from ism.storage.dialects import insert_new, upsert
from ism.storage.feedback import FeedbackStore, FeedbackTotals, NewEvent, Shown
from ism.storage.feedback_schema import FEEDBACK_COUNTER, LETTER_STATES, cursor, dead_letter, event
from ism.storage.rows import check_choice, check_identifier, check_text, check_time, utc_now

_MOST_EVENTS, _MOST_LETTERS, _MOST_PARAMETERS = 10_000, 1_000, 10_000
_LETTER_STATE = check_choice(LETTER_STATES)
# As text, since it runs for each commit, and SQLAlchemy's expressions cost ten times as much.
_RAISE = text(
    f"UPDATE {schema.counter.name} SET value = value + :count WHERE name = '{FEEDBACK_COUNTER}' RETURNING value"
)
_EVENT_FIELDS = tuple(FeedbackEvent.__dataclass_fields__)


class SqlFeedbackStore(FeedbackStore):
    """Keeps feedback in the tables of `ism.storage.feedback_schema`; see `FeedbackStore` for the promises.

    Args:
        database: belongs to the store of which this is a part.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, events: Sequence[NewEvent], letters: Sequence[DeadLetter], recorded_at: datetime
    ) -> list[IngestStatus]:
        with self._database.write() as connection:
            if letters:
                _keep(connection, letters)
            return append(connection, events, recorded_at) if events else []

    def events(self, after: int = 0, limit: int = 1000, recommendation_id: str | None = None) -> list[StoredEvent]:
        _check_limit(limit, _MOST_EVENTS)
        query = select(event).where(event.c.sequence > after).order_by(event.c.sequence).limit(limit)
        if recommendation_id is not None:
            check_text("recommendation_id", recommendation_id)
            query = query.where(event.c.recommendation_id == recommendation_id)
        with self._database.read() as connection:
            return [_stored(row) for row in connection.execute(query).mappings()]

    def event(self, event_id: str) -> StoredEvent:
        check_text("event_id", event_id)
        with self._database.read() as connection:
            row = connection.execute(select(event).where(event.c.event_id == event_id)).mappings().first()
        if row is None:
            raise NotFoundError("feedback event", event_id)
        return _stored(row)

    def shown_at(self, recommendation_ids: Collection[str]) -> dict[str, datetime]:
        wanted, found = list(recommendation_ids), {}
        with self._database.read() as connection:
            for start in range(0, len(wanted), _MOST_PARAMETERS):
                key = schema.recommendation.c.recommendation_id
                query = _shown().where(key.in_(wanted[start : start + _MOST_PARAMETERS]))
                found.update({identifier: shown for identifier, shown in connection.execute(query)})
        return found

    def last_shown(self, offer_id: str, receiver_id: str, until: datetime) -> Shown | None:
        asked, shown = schema.request.c, schema.recommendation.c
        query = _shown().where(asked.offer_id == offer_id, shown.receiver_id == receiver_id, asked.created_at <= until)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(asked.created_at.desc(), shown.rank).limit(1)).first()
        return None if row is None else (row[0], row[1])

    def cursor(self, consumer: str) -> int:
        with self._database.read() as connection:
            return cursor_of(connection, consumer)

    def move_cursor(self, consumer: str, sequence: int) -> None:
        with self._database.write() as connection:
            move_cursor(connection, consumer, sequence)

    def totals(self) -> FeedbackTotals:
        with self._database.snapshot() as connection:
            events = connection.execute(select(event.c.event_type, func.count()).group_by(event.c.event_type))
            letters = connection.execute(select(dead_letter.c.state, func.count()).group_by(dead_letter.c.state))
            last = connection.scalar(select(func.max(event.c.sequence))) or 0
            return FeedbackTotals({kind: n for kind, n in events}, {state: n for state, n in letters}, last)

    def last_sequence(self) -> int:
        with self._database.read() as connection:
            return int(connection.scalar(select(func.max(event.c.sequence))) or 0)

    def dead_letters(
        self, state: DeadLetterState | None = None, after: str | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        _check_limit(limit, _MOST_LETTERS)
        query = _letters().order_by(dead_letter.c.letter_id).limit(limit)
        if state is not None:
            _LETTER_STATE("state", state)
            query = query.where(dead_letter.c.state == state)
        if after is not None:
            check_text("after", after)
            query = query.where(dead_letter.c.letter_id > after)
        with self._database.read() as connection:
            return [DeadLetter(*row) for row in connection.execute(query)]

    def dead_letter(self, letter_id: str) -> DeadLetter:
        with self._database.read() as connection:
            return _letter(connection, letter_id)

    def settle_dead_letter(
        self, letter_id: str, state: DeadLetterState, at: datetime, event_id: str | None = None
    ) -> DeadLetter:
        _LETTER_STATE("state", state)
        check_time("at", at)
        table = dead_letter
        with self._database.write() as connection:
            is_open = (table.c.letter_id == letter_id, table.c.state == "open")
            done = connection.execute(
                update(table).where(*is_open).values(state=state, decided_at=at, event_id=event_id)
            )
            letter = _letter(connection, letter_id)
            if not done.rowcount:
                raise ConflictError(f"dead letter {letter_id!r} is {letter.state}; only an open one can change.")
            return letter


def append(connection: Connection, events: Sequence[NewEvent], recorded_at: datetime) -> list[IngestStatus]:
    """Insert events; see `FeedbackStore.append`."""
    first = _reserve(connection, len(events))
    inserted = insert_new(connection, event)(
        [
            (
                number,
                item.event_id,
                item.idempotency_key,
                item.digest,
                item.event_type,
                item.source,
                item.data,
                item.metadata,
                item.priority,
                item.event_time,
                recorded_at,
                item.recommendation_id,
                item.actor_id,
                item.model_name,
            )
            for number, item in enumerate(events, first)
        ]
    )
    if inserted == len(events):
        return ["stored"] * inserted
    return _statuses(connection, events, first)


def cursor_of(connection: Connection, consumer: str) -> int:
    """The last sequence number that a consumer handled."""
    return connection.scalar(select(cursor.c.sequence).where(cursor.c.consumer == consumer)) or 0


def move_cursor(connection: Connection, consumer: str, sequence: int) -> None:
    """Remember how far a consumer is, in the transaction in which it wrote what it did."""
    check_identifier("consumer", consumer)
    reached = cursor_of(connection, consumer)
    if sequence < reached:
        raise ConflictError(f"{consumer}: event {reached} was handled already. Read the cursor again.")
    row = {"consumer": consumer, "sequence": sequence, "updated_at": utc_now()}
    connection.execute(upsert(connection, cursor, ()), [row])


def _reserve(connection: Connection, count: int) -> int:
    """The first of ``count`` sequence numbers; no other transaction gets one before this one has ended."""
    last = connection.scalar(_RAISE, {"count": count})
    if last is None:
        raise StorageError(f"{schema.counter.name}: the row {FEEDBACK_COUNTER!r} is missing. Restore a backup.")
    return int(last) - count + 1


def _statuses(connection: Connection, events: Sequence[NewEvent], first: int) -> list[IngestStatus]:
    """What became of each event, when some were there already."""
    by_id = _known(connection, "event_id", [item.event_id for item in events])
    by_key = _known(connection, "idempotency_key", [item.idempotency_key for item in events if item.idempotency_key])
    found: list[IngestStatus] = []
    for number, item in enumerate(events, first):
        stored = by_id.get(item.event_id)
        keyed = by_key.get(item.idempotency_key) if item.idempotency_key else stored
        if stored is None or (keyed is not None and keyed[0] != stored[0]):
            found.append("conflict")  # its key belongs to another event
        elif stored[0] == number:
            found.append("stored")
        else:
            found.append("duplicate" if stored[1] == item.digest else "conflict")
    return found


def _known(connection: Connection, column: str, values: list[str]) -> dict[str, tuple[int, str]]:
    found = {}
    for start in range(0, len(values), _MOST_PARAMETERS):
        some = values[start : start + _MOST_PARAMETERS]
        query = select(event.c[column], event.c.sequence, event.c.digest).where(event.c[column].in_(some))
        found.update({value: (sequence, digest) for value, sequence, digest in connection.execute(query)})
    return found


def _stored(row: RowMapping) -> StoredEvent:
    told = FeedbackEvent(**{name: row[name] for name in _EVENT_FIELDS})
    return StoredEvent(row["sequence"], told, row["recommendation_id"], row["actor_id"], row["model_name"])


def _keep(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    again = ("body", "body_bytes", "body_sha256", "state", "first_at", "event_id", "decided_at", "idempotency_key")
    rows = [{column.name: getattr(letter, column.name) for column in dead_letter.columns} for letter in letters]
    statement: Any = upsert(connection, dead_letter, again, computed={"attempts": dead_letter.c.attempts + 1})
    for row in rows:  # one by one: the same letter may come twice, which one statement could not do
        connection.execute(statement, row)


def _letters() -> Select[Any]:
    return select(*(dead_letter.c[name] for name in DeadLetter.__dataclass_fields__))


def _letter(connection: Connection, letter_id: str) -> DeadLetter:
    check_text("letter_id", letter_id)
    row = connection.execute(_letters().where(dead_letter.c.letter_id == letter_id)).first()
    if row is None:
        raise NotFoundError("dead letter", letter_id)
    return DeadLetter(*row)


def _shown() -> Select[Any]:
    columns = (schema.recommendation.c.recommendation_id, schema.request.c.created_at)
    return select(*columns).join_from(schema.recommendation, schema.request)


def _check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise InvalidInputError("limit", limit, f"Give a number from 1 to {most}.")
