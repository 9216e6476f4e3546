"""Files that nothing needs any more: what ended jobs trained, and snapshots that no job or kept version names."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ism.domain.retraining import OPEN
from ism.retraining.parts import Parts

_YOUNG_S = 86_400.0  # seconds: what is younger may be about to be named by a job of another process
_log = logging.getLogger("ism.retraining")


def tidy(parts: Parts) -> list[Path]:
    """Delete them; what could not be deleted is tried again after the next job.

    A kept version can always be trained again from its snapshot. What an ended job trained is in the registry, where it
    was registered.

    Returns:
        the folders that are gone.
    """
    running = parts.store.jobs(states=OPEN, limit=100_000)
    kept = {version.snapshot for version in parts.registry.versions() if version.retired_at is None}
    kept |= {str(job.detail.get("snapshot")) for job in running}
    trained = {parts.artifact(job).name for job in running}
    old = [path for path in _folders(parts.snapshots) if path.name not in kept and _is_old(path)]
    old += [path for path in _folders(parts.artifact_home) if path.name.removesuffix(".draft") not in trained]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    gone = [path for path in old if not path.exists()]
    if gone:
        _log.info("Deleted %d folders of snapshots and trainings that nothing needs.", len(gone))
    return gone


def _folders(home: Path) -> Iterator[Path]:
    if home.is_dir():
        yield from (path for path in home.iterdir() if path.is_dir())


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _YOUNG_S
    except FileNotFoundError:
        return False
