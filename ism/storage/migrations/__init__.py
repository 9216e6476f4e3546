"""Brings a database's schema to the one in `ism.storage.schema`.

To change the schema: change `schema.py`, add ``versions/NNNN_what.py`` by hand (with its limits as numbers, since a
migration never changes), raise `HEAD`. A test compares the migrated database with the metadata, on both databases.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from ism.domain.errors import StorageError
from ism.storage import dialects

HEAD = "0009"  # the packaged head, so that alembic need not be loaded (0.4 s) to see that nothing is to be done
VERSION_TABLE = "ism_alembic_version"  # Optuna, MLflow and Prefect use alembic_version in the same database
BASE = "base"

_alembic = threading.Lock()  # alembic keeps the current migration in module globals


def current_revision(connection: Connection) -> str | None:
    """The revision of a database; None when it has no schema yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return revision


def migrate(engine: Engine, target: str = HEAD) -> bool:
    """Bring the schema to ``target`` in one transaction; returns whether anything had to be done.

    Processes that start together on a server take turns, and all but the first find nothing left to do.

    Raises:
        StorageError: the database was made by a newer program, or a migration would break references.
    """
    with engine.connect() as connection:
        if current_revision(connection) == target:
            return False
    with _transaction(engine) as connection:
        if current_revision(connection) == target:
            return False
        _run(connection, target)
        if connection.dialect.name == "postgresql":
            dialects.hide_from_supabase(connection)
    return True


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            dialects.wait_for_migrations(connection)
            yield connection
    else:
        with dialects.without_foreign_keys(engine) as connection:
            yield connection


def _run(connection: Connection, target: str) -> None:
    from alembic import command  # noqa: PLC0415 - 0.4 s, only when there is something to do
    from alembic.config import Config  # noqa: PLC0415 - as above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    config = Config()
    # A percent sign in the path would be taken for an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = current_revision(connection)
    if current is not None and current not in known:
        raise StorageError(
            f"{VERSION_TABLE}: revision {current!r} is unknown to this program, which knows up to {HEAD!r}. "
            "Use the newer program that made this database, or restore a backup from before."
        )
    with _alembic:
        if target == BASE:
            command.downgrade(config, target)
        else:
            command.upgrade(config, target)
