"""Leases in the database."""
# ruff: noqa: D102 - the contract, `LeaseStore`, documents every method

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from ism.storage import dialects
from ism.storage.database import Database
from ism.storage.lease_base import Lease, LeaseStore
from ism.storage.lease_schema import lease as table
from ism.storage.rows import check_identifier

_LEASE = tuple(Lease.__dataclass_fields__)
_row = table.c


class SqlLeaseStore(LeaseStore):
    """Keeps what `LeaseStore` promises in the table of `ism.storage.lease_schema`.

    Args:
        database: whose schema is up to date.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, seconds: float) -> Lease:
        check_identifier("name", name)
        check_identifier("holder", holder)
        with self._database.write() as connection:
            now = dialects.database_time(connection)
            until = now + timedelta(seconds=seconds)
            found = connection.execute(select(_row.holder, _row.until).where(_row.name == name)).first()
            if found is None:
                dialects.insert_new(connection, table)([(name, "", 0, now, now)])
            if found is None or (found.until <= now and found.holder != holder):
                self._take_over(connection, name, holder, until)
            elif found.holder == holder:
                # Writes behind the fence share the row's key, which an update of other columns does not wait for.
                mine = (_row.name == name, _row.holder == holder)
                connection.execute(update(table).where(*mine).values(until=until))
            return _read(connection, name)

    def release(self, lease: Lease) -> None:
        with self._database.write() as connection:
            mine = (_row.name == lease.name, _row.fence == lease.fence)
            connection.execute(update(table).where(*mine).values(holder="", until=dialects.database_time(connection)))

    def holder(self, name: str) -> Lease | None:
        with self._database.read() as connection:
            now = dialects.database_time(connection)
            found = select(*(_row[each] for each in _LEASE)).where(_row.name == name, _row.until > now)
            row = connection.execute(found).first()
            return Lease(*row) if row is not None and row.holder else None

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        with self._database.behind(dialects.Fence(lease.name, lease.fence)):
            yield

    @staticmethod
    def _take_over(connection: Connection, name: str, holder: str, until: datetime) -> None:
        """Become the holder where the lease is free or has expired."""
        now = dialects.database_time(connection)
        free = select(_row.fence).where(_row.name == name, _row.until <= now)
        # Waits for what a former holder is about to commit behind its fence.
        fence = connection.scalar(free.with_for_update())
        if fence is not None:
            values = {"holder": holder, "fence": fence + 1, "since": now, "until": until}
            connection.execute(update(table).where(_row.name == name).values(values))


def _read(connection: Connection, name: str) -> Lease:
    row = connection.execute(select(*(_row[each] for each in _LEASE)).where(_row.name == name)).one()
    return Lease(*row)
