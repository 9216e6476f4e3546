"""What every saved engine has: a small JSON file that says what it is and seals what lies beside it.

The seal (SHA-256) finds damage; it is no protection against somebody who may write to the folder.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ism.domain.errors import EngineError

NAME = "engine.json"
_SEAL = "sha256"


def write_about(folder: Path, engine: str, version: int, **about: object) -> None:
    """Write ``engine.json`` over the other files of the folder, which are there already; a missing folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {path.name: _digest(path.read_bytes()) for path in sorted(folder.iterdir()) if path.name != NAME}
    whole = {"engine": engine, "format": version, "files": files, **about}
    text = json.dumps({**whole, _SEAL: _seal(whole)}, indent=1)
    (folder / NAME).write_text(text, encoding="utf-8")


def read_about(folder: Path, engine: str, version: int) -> dict[str, Any]:
    """The checked ``engine.json`` of a saved engine.

    Raises:
        EngineError: it or a file beside it is missing, damaged, of another engine or of another version.
    """
    path = folder / NAME
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path} cannot be read: {error}. Restore it from a backup or fit the engine again."
        ) from error
    if not isinstance(about, dict) or about.get("engine") != engine or about.get("format") != version:
        raise EngineError(f"{path} is not a saved {engine!r} engine of format {version}. Fit the engine again.")
    if about.pop(_SEAL, None) != _seal(about):
        raise EngineError(f"{path} is damaged. Restore it from a backup or fit the engine again.")
    for name, digest in about["files"].items():
        try:
            whole = _digest((folder / name).read_bytes()) == digest
        except OSError as error:
            raise EngineError(f"{folder / name} cannot be read: {error}. Restore it or fit again.") from error
        if not whole:
            raise EngineError(f"{folder / name} is damaged. Restore it from a backup or fit the engine again.")
    return about


def numbers(folder: Path, about: Mapping[str, Any], name: str, expected: Iterable[str]) -> list[float]:
    """The finite numbers under ``name``, in the order of the ``expected`` keys.

    Raises:
        EngineError: keys or values are others.
    """
    given, keys = about.get(name), list(expected)
    values = [given[key] for key in keys] if isinstance(given, dict) and list(given) == keys else [None]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise EngineError(f"{folder}: the {name} are not those of this version. Fit the engine again.")
    return [float(value) for value in values]


def folder_digest(folder: Path) -> str:
    """SHA-256 over the sorted names and SHA-256 of a folder's files, at any depth: equal contents, equal digests."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_digest(path.read_bytes())}  {path.relative_to(folder).as_posix()}\n" for path in files]
    return _digest("".join(lines).encode())


def _seal(about: Mapping[str, object]) -> str:
    return _digest(json.dumps(about, sort_keys=True).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
