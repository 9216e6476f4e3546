"""Trust of actors, and quarantine: functions on an open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from ism.domain.errors import NotFoundError
from ism.domain.judgement import ActorTrust, Quarantined, QuarantineState
from ism.storage import feedback_schema as tables
from ism.storage.label_sql import as_row, chunks


class ActorTables:
    """Actors and quarantined events.

    Args:
        connection: an open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def actors(self) -> list[ActorTrust]:
        """Everybody, by identifier."""
        query = select(tables.actor).order_by(tables.actor.c.actor_id)
        return [_actor(dict(row)) for row in self._connection.execute(query).mappings()]

    def standing(self, actor_ids: Iterable[str]) -> dict[str, tuple[float, str]]:
        """Influence and bloc of some actors; those that were never judged are left out."""
        table, found = tables.actor, dict[str, tuple[float, str]]()
        for some in chunks(actor_ids):
            query = select(table.c.actor_id, table.c.trust, table.c.override_trust, table.c.bloc)
            for actor_id, trust, override, bloc in self._connection.execute(query.where(table.c.actor_id.in_(some))):
                found[actor_id] = (trust if override is None else override, bloc)
        return found

    def actor(self, actor_id: str) -> ActorTrust | None:
        """One actor, if it was ever judged."""
        query = select(tables.actor).where(tables.actor.c.actor_id == actor_id)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else _actor(dict(row))

    def put_actors(self, actors: Sequence[ActorTrust]) -> None:
        """Replace what is stored of these."""
        table = tables.actor
        for some in chunks(actors):
            self._connection.execute(delete(table).where(table.c.actor_id.in_([item.actor_id for item in some])))
            self._connection.execute(insert(table), [{**as_row(item), "reasons": list(item.reasons)} for item in some])

    def hold(self, entries: Sequence[Quarantined]) -> None:
        """Put events into quarantine."""
        if entries:
            self._connection.execute(insert(tables.quarantine), [as_row(item) for item in entries])

    def quarantined(self, state: QuarantineState | None, after: str | None, limit: int) -> list[Quarantined]:
        """Entries by event, from behind ``after`` on."""
        table = tables.quarantine
        query = select(table).order_by(table.c.event_id).limit(limit)
        if state is not None:
            query = query.where(table.c.state == state)
        if after is not None:
            query = query.where(table.c.event_id > after)
        return [Quarantined(**row) for row in self._connection.execute(query).mappings()]

    def decide(self, event_id: str, state: QuarantineState, by: str, reason: str, at: datetime) -> Quarantined:
        """Release or confirm one entry; NotFoundError when there is none."""
        table = tables.quarantine
        here = table.c.event_id == event_id
        changed = update(table).where(here).values(state=state, decided_by=by, decided_reason=reason, decided_at=at)
        if not self._connection.execute(changed).rowcount:
            raise NotFoundError("quarantined event", event_id)
        return Quarantined(**self._connection.execute(select(table).where(here)).mappings().one())


def _actor(row: dict[str, object]) -> ActorTrust:
    return ActorTrust(**{**row, "reasons": tuple(row["reasons"])})  # type: ignore[arg-type]  # columns are the fields
