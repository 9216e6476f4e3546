"""Opening a store: own the folder or reach the server, check what keeps data safe, bring the schema up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ism.domain.errors import ConfigurationError, StorageError
from ism.storage.base import Store
from ism.storage.lock import FolderLock

if TYPE_CHECKING:
    from ism.settings import Settings
    from ism.storage.database import Database

SQLITE_FILE = "ism.sqlite3"
SIMULATED_MARK = "simulated.txt"  # a folder that holds it never holds real data


def open_store(settings: Settings, simulated: bool = False) -> Store:
    """The store that the settings name: PostgreSQL where ``database_url`` is set, else SQLite in ``data_dir``.

    Args:
        settings: name it.
        simulated: whether a simulation asks, which gets a marked folder and nothing else.

    Raises:
        ConfigurationError: ``database_url`` is no PostgreSQL URL, or what is simulated and what is real would mix.
        DataFolderInUseError: another process owns ``data_dir``.
        StorageError: the database cannot be reached, is unsafe, damaged, or newer than this program.
    """
    marked = (settings.data_dir / SIMULATED_MARK).is_file()
    if marked and not simulated:
        raise ConfigurationError(
            f"data_dir: {settings.data_dir} holds a simulated market, which only `ism simulate` opens. Name another."
        )
    if simulated and (settings.database_url is not None or not marked):
        raise ConfigurationError(
            "data_dir: a simulation works on a folder of its own, marked as such, and nowhere else."
        )
    if settings.database_url is None:
        return open_sqlite(settings.data_dir)
    return open_postgres(settings.database_url.get_secret_value())


def open_sqlite(folder: Path) -> Store:
    """A store in a folder, which is made where it is missing; errors as in `open_store`."""
    import sqlite3  # noqa: PLC0415 - database libraries load when a store is opened

    from ism.storage import dialects  # noqa: PLC0415 - as above
    from ism.storage.database import Database  # noqa: PLC0415 - as above

    dialects.check_sqlite_version(sqlite3.sqlite_version_info)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # key hashes lie there
    except OSError as error:
        raise StorageError(
            f"data_dir: {folder} cannot be made ({error.strerror}). Set ISM_DATA_DIR to a folder that you may write."
        ) from error
    return _ready(Database(dialects.sqlite_engine(folder / SQLITE_FILE), FolderLock(folder)))


def open_postgres(url: str) -> Store:
    """A store on a PostgreSQL server; errors as in `open_store`.

    Args:
        url: ``postgresql://user:password@host:5432/database``; also with the scheme ``postgres`` or
            ``postgresql+psycopg``.
    """
    from ism.storage import dialects  # noqa: PLC0415 - database libraries load when a store is opened
    from ism.storage.database import Database  # noqa: PLC0415 - as above

    database = Database(dialects.postgres_engine(dialects.postgres_url(url)))
    try:
        with database.read() as connection:
            dialects.check_postgres(connection)
    except BaseException:
        database.close()
        raise
    return _ready(database)


def _ready(database: Database) -> Store:
    from ism.storage.migrations import migrate  # noqa: PLC0415 - as above
    from ism.storage.sql_store import SqlStore  # noqa: PLC0415 - as above

    try:
        with database.translated():
            migrate(database.engine)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)
