"""One process owns a data folder; the operating system frees the folder when that process dies, however it dies."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path

from ism.domain.errors import DataFolderInUseError, StorageError

LOCK_FILE = "ism.lock"


class FolderLock:
    """Holds ``ism.lock`` in a folder from construction until `release`.

    The file stays behind on purpose: deleting it would let two processes lock two files of one name. It holds the
    owner's pid.

    Args:
        folder: an existing folder.

    Raises:
        DataFolderInUseError: another owner is alive, in this process or another one.
        StorageError: the file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_FILE
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(
                f"data_dir: {path} cannot be opened ({error.strerror}). "
                "Make the folder writable or set ISM_DATA_DIR to another one."
            ) from error
        try:
            mine = _try_lock(self._descriptor)
        except OSError as error:
            self.release()
            raise StorageError(
                f"data_dir: {path} cannot be locked ({error.strerror}). Put the folder on a local disk."
            ) from error
        if not mine:
            self.release()
            raise DataFolderInUseError(
                f"data_dir: {folder} is in use by process {_owner(path)}. Send commands to that running server, "
                "stop it first, or set ISM_DATA_DIR to another folder."
            )
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode("ascii"))
        _held.add(self)

    def release(self) -> None:
        """Let the next owner in; calling it again does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _owner(path: Path) -> str:
    """The pid in the file; it is missing for a moment after another process took the lock."""
    pid = path.read_text(encoding="ascii", errors="replace").strip()
    return pid if pid.isdigit() else "(unknown)"


def _drop_in_child() -> None:
    """Close a forked child's copies, or the folder would stay locked while the child outlives its parent."""
    for lock in list(_held):
        lock.release()


if sys.platform == "win32":  # pragma: no cover - the other branch is tested; this one cannot be on Linux
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        # A far byte is locked: locked bytes cannot be read, and the pid should stay readable.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        # flock and not lockf: a lockf lock falls when the process closes any descriptor of the file, and admits a
        # second store within the process.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)
