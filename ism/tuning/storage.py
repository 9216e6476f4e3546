"""Where trials are kept: Optuna's journal in a folder, or its tables in a schema of their own on PostgreSQL."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ism.domain.errors import StorageError
from ism.tuning.folder import JOURNAL

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


SCHEMA = "ism_tuning"  # Optuna has a table alembic_version, as other programs have
_BEAT = 30  # seconds between two signs of life of a running trial on PostgreSQL
_STALE = 120  # seconds without one after which a trial counts as interrupted


def open_storage(folder: Path, database_url: str | None = None) -> BaseStorage:
    """The storage of one optimisation.

    A journal is appended to and synced before a trial counts as finished, so that ``kill -9`` loses none. What a write
    cut off in the middle left at its end is taken away first.

    Args:
        folder: of the optimisation; holds the journal.
        database_url: of a PostgreSQL server, instead of the journal.

    Raises:
        StorageError: the journal cannot be written, or the server cannot be reached.
    """
    if database_url is not None:
        return _postgres(database_url)
    from optuna.storages.journal import JournalFileBackend, JournalStorage  # noqa: PLC0415 - optuna only where used

    path = folder / JOURNAL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _mend(path)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=_lock(path)))
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}). Make the folder writable.") from error


def _mend(path: Path) -> None:
    """Cut off an unfinished last line; every whole line stays."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())


def _lock(path: Path) -> Any:
    """Optuna's own lock is a file that a killed process leaves behind for 30 s; the kernel frees this one at once."""
    try:
        import fcntl  # noqa: PLC0415, F401 - whether the system has it
    except ImportError:  # pragma: no cover - Windows
        return None
    return _FileLock(path.with_name(f"{path.name}.lock"))


def _postgres(url: str) -> BaseStorage:
    import psycopg  # noqa: PLC0415 - only with PostgreSQL
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415 - optuna only where used
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback  # noqa: PLC0415 - optuna only where used
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    from ism.storage.dialects import postgres_url  # noqa: PLC0415 - as above

    address = postgres_url(url)
    try:
        with psycopg.connect(address.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(
                address.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": {"options": f"-csearch_path={SCHEMA}"}, "pool_pre_ping": True},
                heartbeat_interval=_BEAT,
                grace_period=_STALE,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
            )
    except (psycopg.Error, SQLAlchemyError) as error:
        raise StorageError(
            f"The database of the optimisations cannot be reached ({type(error).__name__}). Check DATABASE_URL."
        ) from error


class _FileLock:
    """A journal lock that falls with its process; what `JournalFileBackend` asks for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.Lock()  # threads of one process must wait for each other, too
        self._descriptor = -1

    def acquire(self) -> bool:
        """Wait for the lock."""
        import fcntl  # noqa: PLC0415 - `_lock` found it

        self._mine.acquire()
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._mine.release()
            raise
        return True

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._descriptor)  # which also lets go of the file
        self._mine.release()
