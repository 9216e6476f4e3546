"""``ism retrain`` and ``ism models``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.markup import escape

from ism.app.cli.backend import connect
from ism.app.cli.common import err, load_settings, out, plain_table, print_json
from ism.domain.errors import EngineError

Json = dict[str, Any]
_LOOK_S = 0.5
# States in which a job waits for the world: other runs, outcomes, traffic.
_WAITING = {"DEFERRED", "STAGED", "SHADOW", "CANARY", "PROMOTED"}


def retrain(model: str, config: Json, wait: bool, data_dir: Path | None, as_json: bool) -> None:
    """Ask for a job and follow it until it ends or waits for the world.

    Raises:
        EngineError: the job failed.
    """
    with connect(load_settings(data_dir=data_dir)) as backend:
        wanted = {"model_name": model, "trigger_type": "manual", "config": config}
        job = backend.retraining_job(backend.request_retraining(wanted)["job_id"])
        told = 0
        while True:
            for move in job["moves"][told:] if not as_json else ():
                err().print(f"{move['to']:<12} {move['reason']}", markup=False)
            told = len(job["moves"])
            rests = job["status"] in {"completed", "failed", "cancelled"} or job["state"] in _WAITING
            if not wait or rests or (job["state"] == "EVALUATED" and job["not_before"]):
                break
            time.sleep(_LOOK_S)
            job = backend.retraining_job(job["job_id"])
    if as_json:
        print_json(job)
    else:
        out().print(f"Job {job['job_id']} of {model}: {job['state']}.", markup=False)
    if job["status"] == "failed":
        raise EngineError(f"The job failed: {job['error_message']}")


def listing(model: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List what serves, or the versions of one model."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        if model is None:
            _tell_models(backend.list_models(), as_json)
        else:
            _tell_versions(backend.model_versions(model), as_json)


def show(model: str, version: str, data_dir: Path | None, as_json: bool) -> None:
    """Show a version."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.model_version(model, version)
    if as_json:
        print_json(found)
        return
    table = plain_table("", "")
    for name, value in found.items():
        if name not in {"reports", "ledger"}:
            table.add_row(name.replace("_", " "), escape(str("" if value is None else value)))
    out().print(table)
    for entry in found["ledger"]:
        out().print(f"{entry['at'][:19]}  {entry['action']} by {entry['actor']}: {entry['reason']}", markup=False)
    for report in found["reports"]:
        out().print(f"\n{report}", markup=False)


def diff(model: str, one: str, other: str, data_dir: Path | None, as_json: bool) -> None:
    """Show where two versions differ."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.model_diff(model, one, other)
    if as_json:
        print_json(found)
        return
    table = plain_table("", one, other)
    for name, values in found.items():
        table.add_row(name, escape(str(values["from"])), escape(str(values["to"])))
    out().print(table if found else "They are equal.")


def move(action: str, model: str, wanted: Json, data_dir: Path | None, as_json: bool) -> None:
    """Promote or roll back."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.move_model(action, model, wanted)
    if as_json:
        print_json(found)
    else:
        which = f"Version {found['champion']}" if found["champion"] else "The engine that every start fits"
        out().print(f"{which} of {model} serves now.", markup=False)


def _tell_models(models: list[Json], as_json: bool) -> None:
    if as_json:
        print_json({"models": models})
        return
    table = plain_table("model", "champion", "before", "challenger", "versions")
    for each in models:
        trial = f"{each['challenger']} ({each['mode']})" if each["challenger"] else ""
        numbers = [str(each[name] or "") for name in ("champion", "previous")]
        table.add_row(escape(each["model_name"]), *numbers, trial, str(each["versions"]))
    out().print(table)


def _tell_versions(versions: list[Json], as_json: bool) -> None:
    if as_json:
        print_json({"versions": versions})
        return
    table = plain_table("version", "role", "gate", "nDCG@10", "artifact", "made")
    for each in versions:
        score = each["metrics"].get("ndcg@10")
        shown = "" if score is None else f"{score:.3f}"
        made = each["created_at"][:16]
        table.add_row(str(each["number"]), each["role"], each["gate"], shown, each["artifact"][:12], made)
    out().print(table if versions else "There is no version yet. Make one with `ism retrain MODEL`.")
