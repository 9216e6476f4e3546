"""A model's files, kept by their content and checked whenever they are taken out.

A file lies under its SHA-256; a model is the list of its files with theirs, and its own digest is the SHA-256 of that
list. What lies there can so be changed only into something that is refused. Formats that can run code when they are
read are refused on the way in and on the way out, whatever they are called.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from ism.domain.errors import ArtifactError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,4}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs(Protocol):
    """Keeps bytes under their SHA-256: a folder, or a bucket of object storage."""

    def put(self, data: bytes) -> str:
        """Keep bytes; returns their digest. Keeping the same again changes nothing."""
        ...

    def get(self, digest: str) -> bytes:
        """The bytes, exactly as they were kept.

        Raises:
            ArtifactError: they are missing or have another digest now; names it.
        """
        ...

    def delete(self, digest: str) -> None:
        """Forget bytes; does nothing when there are none."""
        ...

    def digests(self) -> Iterator[str]:
        """All that is kept."""
        ...


class LocalBlobs:
    """Blobs in a folder.

    Args:
        folder: is made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Write to a file beside, flush to disk, then rename: a reader sees all of it or nothing."""
        digest = sha256(data)
        path = self._path(digest)
        if path.is_file() and sha256(path.read_bytes()) == digest:
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
        return digest

    def get(self, digest: str) -> bytes:
        """Read and check."""
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"{digest}: the file is missing ({error.strerror}). Restore it from a backup."
            ) from error
        return checked(digest, data)

    def delete(self, digest: str) -> None:
        """Remove the file."""
        self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """Names of the files."""
        return (path.name for path in sorted(self._folder.glob("??/*")) if _DIGEST.fullmatch(path.name))

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ArtifactError(f"{digest!r} is no SHA-256. Give 64 hexadecimal digits.")
        return self._folder / digest[:2] / digest


def sha256(data: bytes) -> str:
    """Digest in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def checked(digest: str, data: bytes) -> bytes:
    """The bytes, if they have the digest.

    Raises:
        ArtifactError: they have another one.
    """
    found = sha256(data)
    if found != digest:
        raise ArtifactError(f"{digest}: the file was changed, its SHA-256 is {found} now. Restore it from a backup.")
    return data


def artifact_digest(files: Mapping[str, str]) -> str:
    """Digest of a model from those of its files; the same as `ism.engines.files.folder_digest` of its folder."""
    ordered = sorted(files, key=lambda name: PurePosixPath(name).parts)
    return sha256("".join(f"{files[name]}  {name}\n" for name in ordered).encode())


def pack(folder: Path, blobs: Blobs) -> dict[str, str]:
    """Keep every file of a folder; returns path -> digest.

    Raises:
        ArtifactError: a file is a link, has a name that is not plain, or a format that could run code.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ArtifactError(f"{name}: a link is not kept with a model. Put the file itself there.")
        if path.is_file():
            data = path.read_bytes()
            check_safe(name, data)
            files[name] = blobs.put(data)
    if not files:
        raise ArtifactError(f"{folder}: there is no file in it. Save the model first.")
    return files


def unpack(files: Mapping[str, str], artifact: str, blobs: Blobs, folder: Path) -> None:
    """Write a model's files into a new folder, each checked; the folder appears whole or not at all.

    Raises:
        ArtifactError: a file is missing, changed, or not safe; names its digest.
    """
    if artifact_digest(files) != artifact:
        raise ArtifactError(f"{artifact}: the list of files belongs to {artifact_digest(files)}. Restore a backup.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".draft-"))
    try:
        for name, digest in files.items():
            data = blobs.get(digest)
            check_safe(name, data)
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process on the same folder was faster
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_safe(name: str, data: bytes) -> None:
    """Refuse a file that is not plainly named, or not of a format that only holds data.

    Raises:
        ArtifactError: it is refused; says why.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise ArtifactError(
            f"{name!r}: this name could lead out of the model's folder. Use letters, digits, . _ and -."
        )
    suffix = PurePosixPath(name).suffix
    if suffix not in _FORMATS:
        raise ArtifactError(f"{name}: files of a model end in {', '.join(_FORMATS)}. Save it in one of these formats.")
    if not _FORMATS[suffix](data):
        raise ArtifactError(f"{name}: its content is not {suffix[1:]}, so it is not read. Save the model again.")


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:  # also what is not UTF-8
        return False
    return True


def _is_parquet(data: bytes) -> bool:
    return len(data) > 8 and data[:4] == b"PAR1" == data[-4:]


def _is_safetensors(data: bytes) -> bool:
    size = int.from_bytes(data[:8], "little")
    return 2 <= size <= len(data) - 8 and _is_json(data[8 : 8 + size])


def _is_lightgbm(data: bytes) -> bool:
    """The text format starts with the kind of booster; an empty file stands for no model."""
    return not data or (data.startswith(b"tree\n") and b"\0" not in data)


_FORMATS: Mapping[str, Callable[[bytes], bool]] = {
    ".json": _is_json,
    ".parquet": _is_parquet,
    ".safetensors": _is_safetensors,
    ".txt": _is_lightgbm,
}
