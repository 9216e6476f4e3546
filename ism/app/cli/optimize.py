"""``ism optimize``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ism.app.cli.backend import Backend, connect
from ism.app.cli.common import err, load_settings, out, plain_table, print_json
from ism.domain.errors import EngineError

Json = dict[str, Any]
_LOOK = 0.5  # seconds between two looks at a running search

_STYLES = {"completed": "green", "running": "yellow", "cancelled": "yellow", "failed": "red"}


def run(wanted: Json, data_dir: Path | None, as_json: bool) -> None:
    """Begin a search, show how far it is, and print what it found.

    Raises:
        EngineError: the search failed.
    """
    settings = load_settings(data_dir=data_dir)
    with connect(settings) as backend:
        begun = backend.begin_optimization(wanted)
        err().print(f"Search {begun['optimization_id']} of {begun['requested_trials']} trials.", markup=False)
        ended = _follow(backend, begun["optimization_id"])
    _tell(ended, as_json)
    if ended["status"] == "failed":
        raise EngineError(f"The search failed: {ended['error_message']}")


def status(optimization_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Show one search."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.optimization(optimization_id)
    _tell(found, as_json)


def cancel(optimization_id: str, data_dir: Path | None, as_json: bool) -> None:
    """End a search."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        ended = backend.cancel_optimization(optimization_id)
    if as_json:
        print_json(ended)
    else:
        out().print(f"Cancelled {ended['optimization_id']} after {ended['n_trials']} trials.", markup=False)


def show(data_dir: Path | None, as_json: bool) -> None:
    """List all searches."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.list_optimizations()
    if as_json:
        print_json({"optimizations": found})
        return
    table = plain_table("id", "model", "type", "status", "trials", "best", "begun")
    for each in found:
        table.add_row(
            each["optimization_id"],
            escape(each["model_name"]),
            each["optimization_type"],
            _state(each),
            f"{each['n_trials']}/{each['requested_trials']}",
            _score(each["best_score"]),
            each["created_at"][:16],
        )
    out().print(table if found else "There is no search yet. Begin one with `ism optimize MODEL`.")


def _follow(backend: Backend, optimization_id: str) -> Json:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task("Searching", total=1.0)
        while (found := backend.optimization(optimization_id))["status"] == "running":
            best = f"Searching, best {_score(found['best_score'])}"
            bar.update(task, completed=found["progress"], description=best)
            time.sleep(_LOOK)
    return found


def _tell(found: Json, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    console = out()
    console.print(f"[bold]{escape(found['model_name'])}[/] {found['optimization_type']}: {_state(found)}")
    console.print(f"{found['n_trials']} of {found['requested_trials']} trials in {found['duration']:.0f} s.")
    if found["error_message"]:
        console.print(found["error_message"], markup=False)
    if found["best_params"]:
        console.print(f"Best {found['metric']}: {_score(found['best_score'])}", markup=False)
        table = plain_table("parameter", "best", "importance")
        for name, value in found["best_params"].items():
            share = found["importances"].get(name)
            told = f"{value:.4g}" if isinstance(value, float) else str(value)
            table.add_row(escape(name), escape(told), "–" if share is None else f"{share:.0%}")
        console.print(table)


def _state(found: Json) -> str:
    state = "paused" if found["paused"] and found["status"] == "running" else found["status"]
    return f"[{_STYLES.get(state, 'default')}]{state}[/]"


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.4f}"
