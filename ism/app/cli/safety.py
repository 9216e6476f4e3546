"""``ism backup``, ``ism restore`` and ``ism audit``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.markup import escape

from ism.app.cli.backend import connect
from ism.app.cli.common import load_settings, out, plain_table, print_json
from ism.domain.audit import Act
from ism.domain.errors import ConflictError

_HERE = "command line"


def make_backup(data_dir: Path | None, as_json: bool) -> None:
    """Make a backup and say where it lies."""
    settings = load_settings(data_dir=data_dir)
    with connect(settings) as backend:
        made = backend.backup()
    if as_json:
        print_json(made)
        return
    folder = settings.backup_dir or settings.data_dir / "backups"
    told = f"{folder / made['name']}: {made['rows']:,} rows, {made['size']:,} bytes; {made['checked']}."
    out().print(told, markup=False, soft_wrap=True)


def list_backups(data_dir: Path | None, as_json: bool) -> None:
    """List backups."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.list_backups()
    if as_json:
        print_json({"backups": found})
        return
    table = plain_table("name", "made (UTC)", "database", "rows", "bytes")
    for each in found:
        told = (f"{each['rows']:,}", f"{each['size']:,}")
        table.add_row(each["name"], each["made_at"][:16], each["database"], *told)
    out().print(table if found else "There is no backup yet.")


def restore_backup(archive: Path, into: Path | None, check: bool, as_json: bool) -> None:
    """Bring a backup, of a folder the newest one, into a new folder, or only look through it.

    Raises:
        BackupError: there is none, it is damaged, or there is something where it should go.
    """
    from ism.storage import backup, open_store  # noqa: PLC0415 - database libraries load with it

    settings = load_settings(data_dir=into)
    if archive.is_dir():
        archive = backup.newest(archive)
    if check:
        _tell_checked(archive, as_json)
        return
    url = None
    if settings.database_url is not None:
        from ism.storage.dialects import postgres_url  # noqa: PLC0415 - as above

        url = postgres_url(settings.database_url.get_secret_value())
    manifest = backup.restore(archive, settings.data_dir, url)
    with open_store(settings) as store:  # brings an older schema up to date as well
        store.end_sessions()  # whoever signed out since must not be signed in again
        store.audit.append(Act(_HERE, "backup.restore", archive.name, {"made_at": manifest.made_at}))
    _tell(f"Restored into {settings.data_dir}", manifest, as_json)


def list_audit(limit: int, data_dir: Path | None, as_json: bool) -> None:
    """List entries."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        entries = backend.audit(limit)
    if as_json:
        print_json({"entries": entries})
        return
    table = plain_table("", "when (UTC)", "who", "what", "to what", "more", whole=("when (UTC)", "what"))
    for each in entries:
        more = ", ".join(f"{name}={value}" for name, value in each["details"].items())
        texts = (each["actor"], each["action"], each["target"], more)
        table.add_row(str(each["number"]), each["at"][:19].replace("T", " "), *map(escape, texts))
    out().print(table if entries else "Nothing has been written yet.")


def verify_audit(head: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Check the chain.

    Raises:
        ConflictError: an entry is not as it was written.
    """
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.verify_audit(head)
    if as_json:
        print_json(found)
    if found["broken"] is not None:
        raise ConflictError(f"audit: entry {found['broken']} is not as it was written: {found['reason']}.")
    if not as_json:
        out().print(f"{found['entries']:,} entries are as they were written. Digest of the last one:")
        out().print(found["head"])


def _tell_checked(archive: Path, as_json: bool) -> None:
    from ism.storage import backup, dump  # noqa: PLC0415 - as above
    from ism.storage.archive import unpack  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="ism-check-") as scratch:
        manifest = unpack(archive, Path(scratch))
        file = backup.database_file(Path(scratch), manifest)
        if manifest.database == "sqlite":
            dump.check_sqlite(file, manifest.rows)
    _tell(f"{archive.name} is whole", manifest, as_json)


def _tell(what: str, manifest: Any, as_json: bool) -> None:
    rows, files = sum(manifest.rows.values()), len(manifest.members)
    if as_json:
        print_json({"made_at": manifest.made_at, "database": manifest.database, "rows": rows, "files": files})
    else:
        told = f"{what}: {rows:,} rows and {files:,} files of {manifest.made_at[:16]} UTC."
        out().print(told, markup=False, soft_wrap=True)
