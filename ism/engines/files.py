"""What every saved engine has: a small JSON file that says what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ism.domain.errors import EngineError

NAME = "engine.json"


def write_about(folder: Path, engine: str, version: int, **about: object) -> None:
    """Write ``engine.json``; the folder is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"engine": engine, "format": version, **about}, indent=1)
    (folder / NAME).write_text(text, encoding="utf-8")


def read_about(folder: Path, engine: str, version: int) -> dict[str, Any]:
    """The checked ``engine.json`` of a saved engine.

    Raises:
        EngineError: it is missing, damaged, of another engine or of another version.
    """
    path = folder / NAME
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path} cannot be read: {error}. Restore it from a backup or fit the engine again."
        ) from error
    if not isinstance(about, dict) or about.get("engine") != engine or about.get("format") != version:
        raise EngineError(f"{path} is not a saved {engine!r} engine of format {version}. Fit the engine again.")
    return about
