"""One optimisation on disk: what was asked for, how far it is, and the wish to end it.

The folder is all that a search needs, so that whoever finds it can take it up: ``request.json`` (never changes, but for
a larger budget), ``status.json`` (a view of the trials), ``journal.log`` (the trials), ``cancel`` and ``pause``
(wishes), ``snapshot/`` (what trials learn from), ``log.txt`` (what they printed).
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REQUEST, STATUS, CANCEL, PAUSE, LOG = "request.json", "status.json", "cancel", "pause", "log.txt"
JOURNAL = "journal.log"
CONTINUOUS, OF_A_JOB = "continuous-", "job-"  # begin the names of searches that nobody asked for by themselves
ENDED = frozenset({"completed", "failed", "cancelled"})
NOTHING: dict[str, Any] = {
    "status": "not_found",
    "progress": 0.0,
    "best_score": None,
    "best_params": None,
    "n_trials": 0,
    "duration": 0.0,
    "start_time": None,
    "completed_at": None,
    "error_message": None,
    "paused": False,
}


@dataclass(frozen=True, slots=True)
class OptimizationFolder:
    """Reads and writes the files of one optimisation."""

    path: Path

    @property
    def name(self) -> str:
        """The optimisation's identifier."""
        return self.path.name

    def request(self) -> dict[str, Any]:
        """What was asked for."""
        return _read(self.path / REQUEST) or {}

    def status(self) -> dict[str, Any]:
        """How far it is; `NOTHING` with its status where there is no such folder."""
        request = self.request()
        if not request:
            return dict(NOTHING)
        told = {**NOTHING, "status": "running", **(_read(self.path / STATUS) or {})}
        about = {name: request["config"][name] for name in ("model_name", "optimization_type", "metric", "direction")}
        about |= {"requested_trials": request["config"]["n_trials"], "created_at": request["created_at"]}
        return {"optimization_id": self.name, **about, **told, "paused": self.paused}

    @property
    def heard_at(self) -> datetime | None:
        """When whoever works on it last wrote something, UTC; None before it began."""
        told = [path.stat().st_mtime for name in (STATUS, JOURNAL, LOG) if (path := self.path / name).exists()]
        return datetime.fromtimestamp(max(told), UTC) if told else None

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.status()["status"] in ENDED

    @property
    def cancelled(self) -> bool:
        """Whether somebody wished its end."""
        return (self.path / CANCEL).exists()

    def tell(self, **values: Any) -> None:
        """Change parts of the status."""
        write_json(self.path / STATUS, {**(_read(self.path / STATUS) or {}), **values})

    def end(self, status: str, error_message: str | None = None) -> None:
        """Write the last status."""
        self.tell(status=status, error_message=error_message, completed_at=now())

    @property
    def paused(self) -> bool:
        """Whether nobody should work on it for now."""
        return (self.path / PAUSE).exists()

    def cancel(self) -> None:
        """Wish its end; whoever works on it sees the wish."""
        (self.path / CANCEL).touch()

    def pause(self, paused: bool = True) -> None:
        """Wish that nobody works on it, or that somebody does."""
        if paused:
            (self.path / PAUSE).touch()
        else:
            (self.path / PAUSE).unlink(missing_ok=True)

    def extend(self, n_trials: int) -> None:
        """Raise the number of trials, and the time in proportion."""
        request = self.request()
        config = request["config"]
        if n_trials > config["n_trials"]:
            config["timeout"] *= n_trials / config["n_trials"]
            config["n_trials"] = n_trials
            write_json(self.path / REQUEST, request)
            self.tell(status="running", completed_at=None)


def folders(home: Path) -> list[OptimizationFolder]:
    """All optimisations, oldest first."""
    found = [OptimizationFolder(path) for path in _children(home) if not path.name.startswith(".")]
    return sorted(found, key=lambda each: (str(each.request().get("created_at", "")), each.name))


def make_folder(home: Path, fill: Callable[[Path], Mapping[str, Any]], name: str | None = None) -> OptimizationFolder:
    """A new optimisation, whole or not at all.

    Args:
        home: of all optimisations.
        fill: puts files into the new folder and tells what is asked for.
        name: of the optimisation; a new one when None.
    """
    name = name or uuid.uuid4().hex
    draft = home / f".new-{name}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write_json(draft / REQUEST, {**fill(draft), "created_at": now()})
    draft.rename(home / name)
    return OptimizationFolder(home / name)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Put JSON in place at once and synced, so that nobody reads half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def now() -> str:
    """This moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _children(home: Path) -> Iterator[Path]:
    if home.is_dir():
        yield from (path for path in home.iterdir() if (path / REQUEST).is_file())
