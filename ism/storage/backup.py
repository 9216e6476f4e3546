"""Backups: database, models and settings in one archive, checked by restoring it before it gets its name.

A backup is written as a draft, unpacked into a scratch folder, looked through there, and only then renamed. A process
that is killed meanwhile leaves drafts, which the next backup removes; what has a backup's name is whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ism.domain.errors import BackupError, ConflictError, DataFolderInUseError, StorageError, StorageFullError
from ism.storage import archive
from ism.storage.lock import FolderLock

if TYPE_CHECKING:
    from sqlalchemy import URL

    from ism.settings import Settings
    from ism.storage.base import Store

KEPT_FOLDERS = ("models", "tuning", "retraining")
_LEFT_OUT = ("versions", ".fitting")  # of models: copies of what lies in models/files, and a lock
_DATABASE, _FILES = "database", "files"
_DRAFT = ".draft-"
_PATTERN = "ism-*.zip"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that lies in the folder.

    Attributes:
        name: of its file.
        made_at: ISO 8601 in UTC.
        size: bytes.
        rows: of all tables together.
        database: ``sqlite`` or ``postgresql``.
        checked: how it was looked through; empty where it was only listed.
    """

    name: str
    made_at: str
    size: int
    rows: int
    database: str
    checked: str = ""


class Backups:
    """Makes, lists and drops backups; threads and processes may share the folder.

    Args:
        store: what is backed up.
        settings: say where backups lie, how many are kept, and where models are.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self.folder = settings.backup_dir or settings.data_dir / "backups"

    def create(self) -> Backup:
        """Back up while others write; the oldest backups beyond `Settings.backup_kept` are removed.

        Raises:
            ConflictError: another backup is being made.
            BackupError: what was written could not be restored; it is thrown away.
            StorageError: it could not be written; StorageFullError when there is no room.
        """
        with _translated(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # hashes of keys lie in backups
            with _alone(self.folder):
                for draft in self.folder.glob(f"{_DRAFT}*"):
                    shutil.rmtree(draft)
                scratch = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
                try:
                    made = self._create(scratch)
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
                self._prune()
        return made

    def list(self) -> list[Backup]:
        """Backups, newest first; a file that cannot be read is left out."""
        found = []
        for path in sorted(self.folder.glob(_PATTERN), reverse=True):
            try:
                found.append(_told(path, archive.read_manifest(path)))
            except BackupError:
                continue
        return found

    def _create(self, scratch: Path) -> Backup:
        now = datetime.now(UTC)
        copied = self._store.dump(scratch)
        told: dict[str, Any] = {
            "made_at": now.isoformat(),
            "program": version("ism-ai-platform"),
            "database": copied.database,
            "revision": copied.revision,
            "rows": dict(copied.rows),
            "settings": public_settings(self._settings),
        }
        draft = scratch / "archive.zip"
        sources = [(f"{_DATABASE}/{copied.file.name}", copied.file), *_files(self._settings.data_dir)]
        with draft.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            archive.write(file, sources, told)
            file.flush()
            os.fsync(file.fileno())
        copied.file.unlink()
        trial = scratch / "trial"
        checked = self._check(draft, trial)
        final = self.folder / f"ism-{now:%Y%m%dT%H%M%S%fZ}.zip"
        draft.rename(final)
        _sync(self.folder)
        return _told(final, archive.read_manifest(final), checked)

    def _check(self, draft: Path, trial: Path) -> str:
        manifest = archive.unpack(draft, trial)
        file = database_file(trial, manifest)
        return self._store.check_dump(file, manifest.rows)

    def _prune(self) -> None:
        for path in sorted(self.folder.glob(_PATTERN), reverse=True)[self._settings.backup_kept :]:
            path.unlink(missing_ok=True)


def newest(folder: Path) -> Path:
    """The archive of a folder that was made last; BackupError where there is none."""
    found = max(folder.glob(_PATTERN), default=None)  # their names tell when they were made
    if found is None:
        raise BackupError(f"{folder} holds no backup ({_PATTERN}). Name the folder that `ism backup` tells.")
    return found


def restore(path: Path, target: Path, url: URL | None = None) -> archive.Manifest:
    """Bring a backup into a new data folder, and its tables into an empty database where it came from PostgreSQL.

    The folder appears whole or not at all.

    Args:
        path: the archive.
        target: the data folder; missing or empty.
        url: an empty PostgreSQL database; needed where, and only where, the backup came from one.

    Raises:
        BackupError: the archive is damaged, the folder or database is in use, or ``url`` does not fit.
        StorageError: there is no room, or no permission.
    """
    from ism.storage import dump  # noqa: PLC0415 - database libraries load where something is restored
    from ism.storage.opening import SQLITE_FILE  # noqa: PLC0415 - as above

    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise BackupError(f"data_dir: {target} is not empty. Name a new folder; what is there stays as it is.")
    with _translated(target):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".restore-", dir=target.absolute().parent))
        try:
            manifest = archive.unpack(path, draft / "all")
            file, home = database_file(draft / "all", manifest), draft / "home"
            if (manifest.database == "postgresql") != (url is not None):
                raise BackupError(
                    f"{path.name}: it came from {manifest.database}. "
                    + ("Unset DATABASE_URL." if url else "Name an empty PostgreSQL database in DATABASE_URL.")
                )
            if (draft / "all" / _FILES).is_dir():
                (draft / "all" / _FILES).rename(home)
            home.mkdir(exist_ok=True)
            home.chmod(0o700)
            if url is None:
                dump.check_sqlite(file, manifest.rows)
                file.rename(home / SQLITE_FILE)
                (home / SQLITE_FILE).chmod(0o600)
            else:
                dump.compare(path.name, dump.restore_postgres(url, file), manifest.rows)
            if target.exists():
                target.rmdir()  # it is empty, or this fails
            home.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return manifest


def database_file(folder: Path, manifest: archive.Manifest) -> Path:
    """Where an unpacked archive has its database.

    Raises:
        BackupError: it has none.
    """
    found = [name for name in manifest.members if name.startswith(f"{_DATABASE}/")]
    if len(found) != 1:
        raise BackupError("The archive holds no database. Use another backup.")
    return folder / found[0]


def public_settings(settings: Settings) -> dict[str, Any]:
    """The settings without what is secret."""
    from pydantic import SecretStr  # noqa: PLC0415 - loaded with the settings already

    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    kept = {name: value for name, value in values.items() if not isinstance(value, SecretStr)}
    kept = {name: value for name, value in kept.items() if "@" not in str(value)}  # an address may hold a password
    return {name: str(value) if isinstance(value, Path) else value for name, value in kept.items()}


def _files(data_dir: Path) -> Iterator[tuple[str, Path]]:
    for kept in KEPT_FOLDERS:
        for path in sorted((data_dir / kept).rglob("*")):
            name = path.relative_to(data_dir)
            drafts = any(part.startswith(_DRAFT) for part in name.parts)
            if path.is_file() and not path.is_symlink() and not drafts and name.parts[1] not in _LEFT_OUT:
                yield f"{_FILES}/{name.as_posix()}", path


def _told(path: Path, manifest: archive.Manifest, checked: str = "") -> Backup:
    rows = sum(manifest.rows.values())
    return Backup(path.name, manifest.made_at, path.stat().st_size, rows, manifest.database, checked)


def _sync(folder: Path) -> None:
    """Bring a new name to disk, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        lock = FolderLock(folder)
    except DataFolderInUseError as error:
        raise ConflictError(f"backup_dir: another backup is being written into {folder}. Wait for it.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StorageFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageError
        raise kind(
            f"{folder}: it cannot be written ({error.strerror}). Free disk space or check its rights."
        ) from error
