"""A backup's file: a ZIP with a manifest that holds the size and SHA-256 of every other member.

The ZIP's comment is the SHA-256 of the manifest, so that damage to any byte that matters is found. An archive is
unpacked as a whole or refused: names that could lead out of the folder, links, members that the manifest does not
name, and members that are longer than it says are never written.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ism.domain.errors import BackupError

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK = 1 << 20  # bytes
_LARGEST_MANIFEST = 64 << 20  # bytes
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, RuntimeError, TypeError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds.

    Attributes:
        made_at: ISO 8601 in UTC.
        program: version of this package.
        database: ``sqlite`` or ``postgresql``.
        revision: of the schema.
        rows: table -> number of rows at the moment of the backup.
        settings: what was set, without secrets; for people, nothing reads it.
        members: name -> size in bytes and SHA-256.
    """

    made_at: str
    program: str
    database: str
    revision: str
    rows: Mapping[str, int]
    settings: Mapping[str, Any]
    members: Mapping[str, Member]


def write(file: BinaryIO, sources: Iterable[tuple[str, Path]], told: Mapping[str, Any]) -> Manifest:
    """Write an archive.

    Args:
        file: empty and writable; is not closed.
        sources: name in the archive, and the file. One that is gone when its turn comes is left out.
        told: the manifest's fields, without ``members``.
    """
    members: dict[str, Member] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in sources:
            _check_name(name)
            try:
                source = path.open("rb")
            except FileNotFoundError:
                continue
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with source, archive.open(entry, "w", force_zip64=True) as target:
                members[name] = _copy(source, target, None)
        manifest = Manifest(**told, members=members)
        text = json.dumps({"format": FORMAT, **asdict(manifest)}, ensure_ascii=True).encode()
        archive.writestr(MANIFEST, text)
        archive.comment = hashlib.sha256(text).hexdigest().encode()
    return manifest


def read_manifest(path: Path) -> Manifest:
    """What an archive says that it holds; the members themselves are not read.

    Raises:
        BackupError: the file is missing, damaged, or no archive of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _manifest(archive)
    except _UNREADABLE as error:
        raise _damaged(path, f"it cannot be read ({type(error).__name__})") from error


def unpack(path: Path, folder: Path) -> Manifest:
    """Write every member below an empty folder, checked against the manifest.

    Raises:
        BackupError: anything about the archive is not as it was written; the folder is then to be thrown away.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive)
            _check_list(path, archive, manifest)
            for name, member in manifest.members.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, target.open("xb") as file:
                    if _copy(source, file, member.size) != member:
                        raise _damaged(path, f"{name} has another size or SHA-256 than when it was written")
    except _UNREADABLE as error:
        raise _damaged(path, f"it cannot be read ({type(error).__name__})") from error
    return manifest


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise ValueError("too long")
    text = archive.read(MANIFEST)
    if hashlib.sha256(text).hexdigest().encode() != archive.comment:
        raise ValueError("another digest")
    fields = json.loads(text)
    if fields.pop("format") != FORMAT:
        raise ValueError("another format")
    members = {name: Member(**member) for name, member in fields.pop("members").items()}
    return Manifest(**fields, members=members)


def _check_list(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    found = [info.filename for info in archive.infolist()]
    if sorted(found) != sorted([*manifest.members, MANIFEST]):
        raise _damaged(path, "its members are not those that its manifest names")
    for info in archive.infolist():
        _check_name(info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _damaged(path, f"{info.filename!r} is a link")


def _check_name(name: str) -> None:
    """Refuse a name that is not a plain path below a folder, on any system."""
    parts = name.split("/")
    if not name.isprintable() or any(sign in name for sign in '\\:*?"<>|') or any(p in {"", ".", ".."} for p in parts):
        raise BackupError(f"{name!r}: this name could lead out of the folder. Use a backup that this program made.")


def _copy(source: Any, target: Any, most: int | None) -> Member:
    """Copy at most one byte more than expected, and say what was copied."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK if most is None else min(_CHUNK, most + 1 - size)):
        digest.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return Member(size, digest.hexdigest())


def _damaged(path: Path, why: str) -> BackupError:
    return BackupError(f"{path.name}: {why}. Nothing was restored; use another backup.")
