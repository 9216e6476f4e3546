"""All that differs between SQLite and PostgreSQL, in one place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Select,
    Table,
    create_engine,
    event,
    func,
    inspect,
    literal_column,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from ism.domain.errors import ConfigurationError, StorageError
from ism.storage.schema import UtcDateTime

WRITE_OPTION = "ism_write"
BUSY_TIMEOUT_MS = 5_000
_WAL_PAGES = 8_000  # of 4 KiB; a page that many commits touch is then written back once for all of them
_PRAGMAS: Mapping[str, tuple[str, str | int]] = {
    # name: (value to set, value to read back)
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "busy_timeout": (str(BUSY_TIMEOUT_MS), BUSY_TIMEOUT_MS),
    "wal_autocheckpoint": (str(_WAL_PAGES), _WAL_PAGES),
}
_POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
_OLDEST_SQLITE = (3, 35)  # from there on it knows RETURNING; a statement may have 32,766 parameters


@dataclass(frozen=True)
class DialectRules:
    """What the store must know about a database.

    Args:
        single_writer: whether writers must queue in this process because the database has one writer only.
        snapshot_options: execution options that make all statements of a transaction see one moment.
    """

    single_writer: bool
    snapshot_options: Mapping[str, Any]


SQLITE = DialectRules(single_writer=True, snapshot_options={})
POSTGRES = DialectRules(
    single_writer=False, snapshot_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
)
_RULES = {"sqlite": SQLITE, "postgresql": POSTGRES}


def rules_of(engine: Engine) -> DialectRules:
    """The rules for an engine's database."""
    return _RULES[engine.dialect.name]


def upsert(
    connection: Connection,
    table: Table,
    kept: Iterable[str],
    source: Select[Any] | None = None,
    computed: Mapping[str, ColumnElement[Any]] | None = None,
) -> Insert:
    """``INSERT`` that replaces a stored row with the same key, except for the columns in ``kept``.

    Args:
        connection: says which database it is for.
        table: where to write.
        kept: columns whose stored value stays.
        source: complete rows; parameters when None.
        computed: columns of a stored row whose new value follows from it.
    """
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - only the dialect in use is loaded
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415 - as above, same methods
    names = [column.name for column in table.columns]
    key = [column.name for column in table.primary_key]
    statement = insert(table) if source is None else insert(table).from_select(names, source)
    replaced = [name for name in names if name not in {*key, *kept}]
    return statement.on_conflict_do_update(
        index_elements=key, set_={**{name: statement.excluded[name] for name in replaced}, **(computed or {})}
    )


def bulk_writer(connection: Connection, table: Table, kept: Iterable[str]) -> Callable[[list[dict[str, Any]]], object]:
    """A function that upserts a batch of complete rows; ``kept`` as in `upsert`, no key twice in a batch.

    PostgreSQL gets a batch as one JSON parameter, which takes 40 µs a row in all; with one parameter a value its driver
    takes 120 µs, in one long statement as in many short ones.
    """
    if connection.dialect.name == "sqlite":
        statement = upsert(connection, table, kept)
        return lambda rows: connection.execute(statement, rows)
    unpacked = text(f'json_populate_recordset(CAST(NULL AS "{table.name}"), CAST(:rows AS json))')
    source = select(*(literal_column(f'"{column.name}"') for column in table.columns)).select_from(unpacked)
    packed = upsert(connection, table, kept, source)
    return lambda rows: connection.execute(packed, {"rows": json.dumps(rows, default=_iso)})


def insert_new(connection: Connection, table: Table) -> Callable[[Sequence[tuple[Any, ...]]], int]:
    """A function that inserts the complete rows that break no unique index, and returns how many these were.

    JSON columns are given as text that is JSON already. Several rows go into one statement: around each the driver lets
    other threads run, and must wait for them to go on.
    """
    return (_insert_new_sqlite if connection.dialect.name == "sqlite" else _insert_new_postgres)(connection, table)


def limit_lock_wait(connection: Connection, seconds: float) -> None:
    """Make this transaction fail rather than wait forever for another one's lock, as SQLite's busy timeout does."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {int(seconds * 1000)}"))


@dataclass(frozen=True, slots=True)
class Fence:
    """A lease's name and the fencing token under which this thread may write."""

    name: str
    token: int


_LONGEST_PAUSE_S = 10  # within a transaction behind a fence; a process that stands still keeps nobody from leading


def hold_fence(connection: Connection, fence: Fence) -> bool:
    """Whether a lease is still held under a token; on a server it then stays so until this transaction ends.

    PostgreSQL: the row's key is locked as a foreign key would lock it. Prolonging the lease does not wait for that,
    taking it over does.
    """
    query = "SELECT 1 FROM ism_lease WHERE name = :name AND fence = :token"
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {_LONGEST_PAUSE_S * 1000}"))
        query += " FOR KEY SHARE"
    return connection.scalar(text(query), {"name": fence.name, "token": fence.token}) is not None


def database_time(connection: Connection) -> datetime:
    """What time it is: by the server's clock where there is one, since machines differ."""
    if connection.dialect.name == "postgresql":
        found: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return found.astimezone(UTC)
    return datetime.now(UTC)


def is_unavailable(error: DBAPIError) -> bool:
    """Whether a server could not be reached, or ended the connection: the same may work a moment later."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the driver itself could not connect
        return isinstance(error, OperationalError) and not isinstance(error.orig, SqliteError)
    return str(state)[:2] == "08" or str(state) in _GOING_AWAY


# admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout, idle_in_transaction_session_timeout
_GOING_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})


# --- SQLite ---


def sqlite_engine(path: Path) -> Engine:
    """An engine for a database file, every connection of which has been checked by `check_pragmas`."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=20,
        max_overflow=40,  # as many as a web server's thread pool asks for at once
        json_serializer=_json,
        hide_parameters=True,  # errors must not show key hashes or a customer's listing
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: SqliteConnection, _record: object) -> None:
    # The driver would begin transactions on its own, but only before writes: reads of one transaction would see
    # different moments.
    connection.isolation_level = None  # `_on_sqlite_begin` takes over
    for name, (wanted, _) in _PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {wanted}")
    check_pragmas(connection)


def _on_sqlite_begin(connection: Connection) -> None:
    # A write transaction that starts as a reader can fail later, when its snapshot has become old.
    write = connection.get_execution_options().get(WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def check_pragmas(connection: SqliteConnection) -> None:
    """Read back what keeps the data safe.

    Raises:
        StorageError: SQLite did not take a setting; names it.
    """
    for name, (_, expected) in _PRAGMAS.items():
        row = connection.execute(f"PRAGMA {name}").fetchone()
        found = row[0] if row else None
        if found != expected:
            raise StorageError(
                f"sqlite {name}: is {found!r} and must be {expected!r} to keep data safe. "
                "Put data_dir on a local disk (not a network share), or set DATABASE_URL to a PostgreSQL database."
            )


def check_sqlite_version(version: tuple[int, ...]) -> None:
    """Refuse a library that lacks what the store needs.

    Raises:
        StorageError: it is too old.
    """
    if version < _OLDEST_SQLITE:
        raise StorageError(
            f"sqlite version: {'.'.join(map(str, version))} is too old. Use a Python built with SQLite "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or later, or set DATABASE_URL to a PostgreSQL database."
        )


@contextmanager
def without_foreign_keys(engine: Engine) -> Iterator[Connection]:
    """A write transaction in which a migration may drop and make anew a table that others refer to.

    Raises:
        StorageError: at its end a row names another one that is not there; everything is undone.
    """
    with engine.connect() as plain:
        connection = plain.execution_options(**{WRITE_OPTION: True})
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA foreign_keys = OFF")  # has no effect once a transaction is open
        try:
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    raise StorageError(
                        f"{broken[0]}: row {broken[1]} names a row of {broken[2]} that is not stored. Restore a backup."
                    )
        finally:
            driver.execute("PRAGMA foreign_keys = ON")
            check_pragmas(driver)


_ROWS_AT_ONCE = 8


def _insert_new_sqlite(connection: Connection, table: Table) -> Callable[[Sequence[tuple[Any, ...]]], int]:
    times = [place for place, column in enumerate(table.columns) if isinstance(column.type, UtcDateTime)]
    width = len(table.columns)

    def insert(rows: Sequence[tuple[Any, ...]]) -> int:
        values = [value for row in rows for value in row]
        for place in times:
            values[place::width] = map(_sqlite_time, values[place::width])
        inserted = start = 0
        for size in (_ROWS_AT_ONCE, 1):
            step, end = size * width, len(values) - (len(values) - start) % (size * width)
            parts = [tuple(values[at : at + step]) for at in range(start, end, step)]
            if parts:
                inserted += connection.exec_driver_sql(_insert_many(table, size), parts).rowcount
            start = end
        return inserted

    return insert


@lru_cache
def _insert_many(table: Table, size: int) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = f"({', '.join('?' * len(table.columns))})"
    return f'INSERT INTO "{table.name}" ({names}) VALUES {", ".join([marks] * size)} ON CONFLICT DO NOTHING'


@lru_cache(1024)  # events that came together share their times
def _sqlite_time(value: datetime) -> str:
    """A time as `ism.storage.schema.UtcDateTime` keeps it."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


# --- PostgreSQL ---


def _insert_new_postgres(connection: Connection, table: Table) -> Callable[[Sequence[tuple[Any, ...]]], int]:
    names = [str(column.name) for column in table.columns]  # plain texts, where SQLAlchemy has its own kind
    written = [place for place, column in enumerate(table.columns) if isinstance(column.type, JSON)]
    listed = ", ".join(f'"{name}"' for name in names)
    statement = text(
        f'INSERT INTO "{table.name}" ({listed}) SELECT {listed} '
        f'FROM json_populate_recordset(CAST(NULL AS "{table.name}"), CAST(:rows AS json)) ON CONFLICT DO NOTHING'
    )

    def insert(rows: Sequence[tuple[Any, ...]]) -> int:
        packed = []
        for row in rows:
            values = list(row)
            for place in written:
                values[place] = orjson.Fragment(values[place])
            packed.append(dict(zip(names, values, strict=True)))
        return connection.execute(statement, {"rows": orjson.dumps(packed).decode()}).rowcount

    return insert


_MIGRATION_LOCK = 0x49534D  # "ISM"; any number that other programs are unlikely to use


def wait_for_migrations(connection: Connection) -> None:
    """Hold up other processes that want to migrate until this transaction ends."""
    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))


def hide_from_supabase(connection: Connection) -> None:
    """Take our tables from the roles under which Supabase serves the whole public schema to browsers."""
    roles = connection.scalars(text("SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')")).all()
    tables = [name for name in inspect(connection).get_table_names() if name.startswith("ism_")]
    for role in roles:
        for table in tables:
            connection.execute(text(f'REVOKE ALL ON TABLE "{table}" FROM "{role}"'))


def postgres_url(url: str) -> URL:
    """A URL as people paste it, for the driver that is installed.

    Raises:
        ConfigurationError: it is no PostgreSQL URL; the message leaves the URL out, since it may hold a password.
    """
    remedy = "Give postgresql://user:password@host:5432/database, or unset it to use SQLite in data_dir."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(f"DATABASE_URL: it cannot be read as a URL. {remedy}") from error
    if parsed.drivername not in _POSTGRES_SCHEMES:
        raise ConfigurationError(f"DATABASE_URL: the scheme {parsed.drivername!r} is not known. {remedy}")
    return parsed.set(drivername="postgresql+psycopg")


def postgres_engine(url: URL) -> Engine:
    """An engine for a PostgreSQL server, its connections checked when they are taken from the pool."""
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=15,
        pool_timeout=10,
        json_serializer=_json,
        hide_parameters=True,
        # Poolers such as Supabase's hand each transaction to another server connection, where a prepared statement is
        # unknown.
        connect_args={"connect_timeout": 10, "prepare_threshold": None, "application_name": "ism"},
    )


def check_postgres(connection: Connection) -> None:
    """Refuse a database that cannot hold every text.

    Raises:
        StorageError: its encoding is not UTF-8.
    """
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StorageError(
            f"server_encoding: {encoding!r} cannot hold every text. Create the database with ENCODING 'UTF8'."
        )


def _iso(value: date) -> str:
    # `date.isoformat` itself would cut the time off a datetime, which is a date too.
    return value.isoformat()


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
