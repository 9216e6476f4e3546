"""The audit log in the database."""
# ruff: noqa: D102 - the contract, `AuditStore`, documents every method

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, insert, select, text

from ism.domain.audit import BEGINNING, Act, AuditCheck, AuditEntry, check_chain, next_entry
from ism.storage.audit_base import AuditStore
from ism.storage.audit_schema import audit
from ism.storage.database import Database
from ism.storage.rows import utc_now

_LOCK = 0x41554449  # "AUDI"; any number that other programs are unlikely to use
_AT_ONCE = 1000
_ENTRY = tuple(AuditEntry.__dataclass_fields__)
_log = logging.getLogger("ism.audit")


class SqlAuditStore(AuditStore):
    """Keeps what `AuditStore` promises.

    Args:
        database: whose schema is up to date.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, act: Act) -> AuditEntry:
        with self._database.write() as connection:
            return append(connection, act)

    def entries(self, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        statement = _entries().order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            statement = statement.where(audit.c.number < before)
        with self._database.read() as connection:
            return [AuditEntry(*row) for row in connection.execute(statement)]

    def check(self, head: str | None = None) -> AuditCheck:
        with self._database.snapshot() as connection:
            return check_chain(_all(connection), head)


def append(connection: Connection, act: Act) -> AuditEntry:
    """Write an entry within a transaction; others who write one wait for its end."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    newest = select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
    last = connection.execute(newest).first()
    number, previous = (1, BEGINNING) if last is None else (last.number + 1, last.digest)
    entry = next_entry(act, utc_now(), number, previous)
    connection.execute(insert(audit).values({name: getattr(entry, name) for name in _ENTRY}))
    _log.info("Audit %d %s: %s %s %s", number, entry.digest, entry.actor, entry.action, entry.target)
    return entry


def _all(connection: Connection) -> Iterator[AuditEntry]:
    last = -1  # also an entry that was forged with number 0 is looked at
    in_order = _entries().order_by(audit.c.number).limit(_AT_ONCE)
    while some := [AuditEntry(*row) for row in connection.execute(in_order.where(audit.c.number > last))]:
        yield from some
        last = some[-1].number


def _entries() -> Select[Any]:
    return select(*(audit.c[name] for name in _ENTRY))
