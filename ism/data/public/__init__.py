"""Readers of the public data sets: as domain values for a store, and as typed frames for benchmarks.

The files themselves never belong to this project; `folder` says where they are looked for.
"""

import os
from pathlib import Path

from ism.domain.errors import InvalidInputError

VARIABLE = "ISM_PUBLIC_DATA"


def folder() -> Path | None:
    """``ISM_PUBLIC_DATA``, else ``../shared/data`` beside the repository; ``None`` where there is no such folder."""
    named = os.environ.get(VARIABLE)
    path = Path(named) if named else Path(__file__).resolve().parents[3].parent / "shared" / "data"
    return path if path.is_dir() else None


def required_file(path: Path) -> Path:
    """``path``, if it is a file.

    Raises:
        InvalidInputError: it is not there.
    """
    if not path.is_file():
        raise InvalidInputError("path", str(path), f"Set {VARIABLE} to the folder of the public data sets.")
    return path
