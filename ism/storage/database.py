"""Transactions: who may write when, what a reader sees, and errors in our own words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ism.domain.errors import (
    ConflictError,
    LeadLostError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from ism.storage import dialects
from ism.storage.lock import FolderLock

WRITE_WAIT_S = 60.0


class Database:
    """An engine with the store's rules for transactions; safe to use from several threads.

    Args:
        engine: connects to the database.
        lock: ownership of the data folder; given back on `close`.
        write_wait_s: how long a writer waits for its turn before it gives up.
    """

    def __init__(self, engine: Engine, lock: FolderLock | None = None, write_wait_s: float = WRITE_WAIT_S) -> None:
        self.engine = engine
        self.rules = dialects.rules_of(engine)
        self.location = engine.url.render_as_string(hide_password=True)
        self._lock = lock
        self._write_wait_s = write_wait_s
        # Reentrant, so that a write within a write runs into the database's own time limit instead of waiting for
        # itself forever.
        self._writer = threading.RLock()
        self._closed = False
        self._fences = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.translated(), self._open().connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction in which every statement sees the same moment."""
        with self.translated(), self._open().connect() as connection:
            yield connection.execution_options(**self.rules.snapshot_options)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed when the block ends well and undone when it raises."""
        with self._turn(), self.translated(), self._open().connect() as plain:
            connection = plain.execution_options(**{dialects.WRITE_OPTION: True})
            with connection.begin():
                dialects.limit_lock_wait(connection, self._write_wait_s)
                fence = getattr(self._fences, "held", None)
                if fence is not None and not dialects.hold_fence(connection, fence):
                    raise LeadLostError(f"{fence.name}: another process took over. Nothing was written.")
                yield connection

    @contextmanager
    def behind(self, fence: dialects.Fence) -> Iterator[None]:
        """Within it, this thread writes only while nobody took over the lease; else LeadLostError."""
        before = getattr(self._fences, "held", None)
        self._fences.held = fence
        try:
            yield
        finally:
            self._fences.held = before

    def close(self) -> None:
        """Close all connections and give the folder back."""
        self._closed = True
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the libraries' errors into ours."""
        try:
            yield
        except IntegrityError as error:
            raise ConflictError(
                f"The change contradicts what is stored: {_first_line(error)}. Read it again and retry."
            ) from error
        except PoolTimeoutError as error:
            raise StorageError(
                f"{self.location}: all connections are in use. Retry, or run fewer requests at once."
            ) from error
        except DBAPIError as error:
            raise _kind(error)(f"{self.location}: {_first_line(error)}. {_remedy(error)}") from error

    def _open(self) -> Engine:
        if self._closed:
            raise StorageError(f"{self.location}: the store is closed. Open it again.")
        return self.engine

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.rules.single_writer:
            yield
            return
        if not self._writer.acquire(timeout=self._write_wait_s):
            raise StorageError(
                f"{self.location}: another write has been running for {self._write_wait_s:g} s. "
                "Wait for the import to end and retry."
            )
        try:
            yield
        finally:
            self._writer.release()


def _kind(error: DBAPIError) -> type[StorageError]:
    if _is_full(error):
        return StorageFullError
    return StorageUnavailableError if dialects.is_unavailable(error) else StorageError


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0].rstrip(".")


_REMEDIES = {
    "not a database": "The file is damaged or no database: restore a backup, or move it away to start afresh.",
    "malformed": "The file is damaged: restore a backup.",
    "locked": "Another write is running: retry later, and never write from within a bulk write.",
    "lock timeout": "Another write is running: retry later, and never write from within a bulk write.",
    "disk is full": "Free disk space, then retry.",
    "no space left": "Free disk space, then retry.",
    "readonly": "Make the file and its folder writable.",
    "unable to open": "Make the folder writable, or set ISM_DATA_DIR to another one.",
    "password": "Correct user and password in DATABASE_URL.",
    'database "': "Create the database, or correct its name in DATABASE_URL.",
}


def _is_full(error: DBAPIError) -> bool:
    message = str(error.orig).lower()
    return "disk is full" in message or "no space left" in message or getattr(error.orig, "sqlstate", "") == "53100"


def _remedy(error: DBAPIError) -> str:
    message = str(error.orig).lower()
    for sign, remedy in _REMEDIES.items():
        if sign in message:
            return remedy
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return "Check that the database runs and that DATABASE_URL or ISM_DATA_DIR is right, then retry."
    return "This is likely a defect of this program: report it with this message."
