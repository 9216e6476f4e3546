"""A consistent copy of the whole database, made while others write, and its way back.

SQLite: its online backup interface, which reads one moment of a database in WAL mode and keeps no writer waiting.
PostgreSQL: ``pg_dump`` of our tables within an exported snapshot, in which the rows are counted as well.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from ism.domain.errors import BackupError, ConfigurationError, StorageError
from ism.storage import dialects
from ism.storage.migrations import VERSION_TABLE, current_revision

SQLITE_COPY, POSTGRES_DUMP = "ism.sqlite3", "ism.pgdump"
_LONGEST_S = 3600.0  # of a program of PostgreSQL
_OURS = "ism_"
_SCRATCH = "ism_check_"
_PASSED = {"host": "PGHOST", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


@dataclass(frozen=True, slots=True)
class Dump:
    """A copy of a database.

    Attributes:
        file: the copy.
        database: ``sqlite`` or ``postgresql``.
        revision: of its schema.
        rows: table -> number of rows in the copy.
    """

    file: Path
    database: str
    revision: str
    rows: Mapping[str, int]


def dump(engine: Engine, folder: Path) -> Dump:
    """Copy a database into a new file of a folder.

    Raises:
        ConfigurationError: it is on PostgreSQL, and ``pg_dump`` is not installed.
        StorageError: the copy could not be made.
    """
    if engine.dialect.name == "sqlite":
        return _dump_sqlite(Path(str(engine.url.database)), folder / SQLITE_COPY)
    return _dump_postgres(engine, folder / POSTGRES_DUMP)


def check_sqlite(file: Path, rows: Mapping[str, int]) -> None:
    """Look through every page of a copy, and count.

    Raises:
        BackupError: it is damaged, or holds another number of rows.
    """
    try:
        with closing(sqlite3.connect(file)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if found != "ok":
                raise BackupError(f"{file.name}: the database is damaged ({found}). Use another backup.")
            counted = _count_sqlite(connection)
    except sqlite3.Error as error:
        raise BackupError(f"{file.name}: the database cannot be read ({error}). Use another backup.") from error
    compare(file.name, counted, rows)


def check_postgres(engine: Engine, file: Path, rows: Mapping[str, int]) -> str:
    """Restore a dump into a scratch database beside the real one, count, and drop it; says what was done.

    A role that may not create databases gets a reading of the whole dump instead.

    Raises:
        BackupError: the dump cannot be restored, or holds another number of rows.
    """
    try:
        with _scratch(engine) as url:
            counted = restore_postgres(url, file)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != "42501":  # insufficient privilege
            raise
        _run(engine.url, "pg_restore", "--file", os.devnull, str(file))
        return "read to its end; the role may not create a scratch database to restore into"
    compare(file.name, counted, rows)
    return "restored into a scratch database"


def restore_postgres(url: URL, file: Path) -> dict[str, int]:
    """Bring a dump into a database that has none of our tables; returns their numbers of rows.

    Raises:
        BackupError: the database has tables of ours, or the dump cannot be restored; then nothing is left of it.
    """
    engine = dialects.postgres_engine(url)
    try:
        with engine.connect() as connection:
            if _tables(connection):
                raise BackupError(
                    f"{engine.url.render_as_string(hide_password=True)}: it holds data of ISM already. "
                    "Name an empty database in DATABASE_URL."
                )
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        _run(url, "pg_restore", *options, "--dbname", str(url.database), str(file))
        with engine.begin() as connection:
            dialects.hide_from_supabase(connection)  # what was granted there is not restored, nor is what was taken
            return _count(connection)
    finally:
        engine.dispose()


def _dump_sqlite(source: Path, target: Path) -> Dump:
    try:
        address = f"{source.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)  # in one step: a backup in several starts anew whenever somebody writes
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            revision = copy.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()[0]
            return Dump(target, "sqlite", revision, _count_sqlite(copy))
    except sqlite3.Error as error:
        raise StorageError(f"{source}: it could not be backed up ({error}). Free disk space, then retry.") from error


def _count_sqlite(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'ism!_%' ESCAPE '!'")
    tables = sorted(row[0] for row in names)
    return {table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def _dump_postgres(engine: Engine, target: Path) -> Dump:
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as plain:
        connection = plain.execution_options(**options)
        snapshot = str(connection.scalar(text("SELECT pg_export_snapshot()")))
        rows, revision = _count(connection), current_revision(connection) or ""
        chosen = [f"--table={connection.scalar(text('SELECT current_schema()'))}.{_OURS}*"]
        _run(engine.url, "pg_dump", "--format=custom", f"--snapshot={snapshot}", *chosen, "--file", str(target))
    return Dump(target, "postgresql", revision, rows)


def _tables(connection: Connection) -> list[str]:
    return sorted(name for name in inspect(connection).get_table_names() if name.startswith(_OURS))


def _count(connection: Connection) -> dict[str, int]:
    counted = {table: connection.scalar(text(f'SELECT count(*) FROM "{table}"')) for table in _tables(connection)}
    return {table: int(number or 0) for table, number in counted.items()}


def compare(name: str, counted: Mapping[str, int], expected: Mapping[str, int]) -> None:
    """Refuse other numbers of rows than expected.

    Raises:
        BackupError: a table differs; names it.
    """
    differ = sorted(table for table in {*counted, *expected} if counted.get(table) != expected.get(table))
    if differ:
        raise BackupError(f"{name}: the number of rows of {', '.join(differ)} is not that of the manifest.")


@contextmanager
def _scratch(engine: Engine) -> Iterator[URL]:
    name = f"{_SCRATCH}{uuid.uuid4().hex}"
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        _drop_left_behind(connection)
        connection.execute(select(func.pg_advisory_lock(func.hashtext(name))))  # says that somebody works with it
        try:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
            yield engine.url.set(database=name)
        finally:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
            connection.execute(select(func.pg_advisory_unlock(func.hashtext(name))))


def _drop_left_behind(connection: Connection) -> None:
    """Drop scratch databases of processes that were killed: nobody holds their lock."""
    named = text("SELECT datname FROM pg_database WHERE datname ~ :form")
    for name in connection.scalars(named, {"form": f"^{_SCRATCH}[0-9a-f]{{32}}$"}).all():
        if connection.scalar(select(func.pg_try_advisory_lock(func.hashtext(name)))):
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
            connection.execute(select(func.pg_advisory_unlock(func.hashtext(name))))


def _run(url: URL, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL; the password goes by its environment, where no list of processes shows it."""
    found = shutil.which(program)
    if found is None:
        raise ConfigurationError(f"{program}: it is not on PATH. Install the client programs of PostgreSQL.")
    given: dict[str, object] = {"PGHOST": url.host, "PGPORT": url.port, "PGDATABASE": url.database}
    given |= {"PGUSER": url.username, "PGPASSWORD": url.password}
    given |= {_PASSED[name]: url.query[name] for name in _PASSED if name in url.query}
    environment = {**os.environ, **{name: str(value) for name, value in given.items() if value}}
    try:
        done = subprocess.run(
            [found, "--no-password", *arguments] if program == "pg_dump" else [found, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"{program}: it took more than {_LONGEST_S:g} s and was ended. Retry.") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StorageError(f"{program}: {said}. Check DATABASE_URL and the versions of server and program.")
