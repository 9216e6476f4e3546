"""Searches for better parameters: each with its trials, what mattered, and how parameters went together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ism.app.phrases import engine_label
from ism.app.web import charts
from ism.app.web.page import Asked
from ism.app.web.panel import ACTIONS, LINKS, Action, Column, Empty, Panel, Row
from ism.app.web.words import duration
from ism.engines import catalog
from ism.tuning.folder import ENDED, NOTHING, OF_A_JOB, OptimizationFolder, folders

FOLDER = "tuning"  # of the data folder
_ROWS = 200
_NO_SEARCH = Empty(
    "No search for better parameters has been made.",
    "Begin one: `ism optimize matching`, or POST /api/optimizations.",
    "/docs#group-optimization",
    "How to ask over the API",
)

_TOO_FEW = Empty("Too few trials to tell.", "Importances need four finished trials with different scores.")


def searches(asked: Asked) -> Panel:
    """Every search."""
    every, now = all_searches(asked), datetime.now(UTC)
    rows: list[Row] = [
        {
            "created_at": each["created_at"], "model": engine_label(each["model_name"]),
            "method": each["optimization_type"], "state": "paused" if each["paused"] else each["status"],
            "beat": _last_heard(asked, each, now),
            "trials": f"{each['n_trials']} of {each['requested_trials']}", "best": each["best_score"],
            "duration": each["duration"], "error": each.get("error_message"),
            ACTIONS: _search_actions(each) if asked.may_write else (),
            LINKS: {"model": asked.address("/jobs", search=each["optimization_id"]) + "#panel-trials"},
        }
        for each in every[:_ROWS]
    ]  # fmt: skip
    return Panel(
        "Searches for better parameters",
        (Column("created_at", "Asked", "time", "UTC"), Column("model", "Model"), Column("method", "Method"),
         Column("state", "State", "state"), Column("beat", "Heartbeat"), Column("trials", "Trials"),
         Column("best", "Best", "number", "metric"),
         Column("duration", "Work", "seconds"), Column("error", "What went wrong")),
        rows,
        _NO_SEARCH,
        note="Choose a model to see its trials below. Searches run one after another and survive a restart. A search "
        "is heard of when a trial begins, reports or ends.",
        topics=("jobs",),
        width=12,
        total=len(every),
    )  # fmt: skip


def _last_heard(asked: Asked, search: Mapping[str, Any], now: datetime) -> str | None:
    """How long ago a running search was heard of; those that are paused or ended have none."""
    if search["status"] in ENDED or search["paused"]:
        return None
    at = OptimizationFolder(_home(asked) / str(search["optimization_id"])).heard_at
    if search["start_time"] is None or at is None:
        return "waits for its turn"
    return f"{duration(max((now - at).total_seconds(), 0.0))} ago"


def _search_actions(search: Mapping[str, Any]) -> list[Action]:
    if search["status"] == "running":
        question = "Cancel this search? What it found so far stays."
        return [Action("Cancel", f"/act/searches/{search['optimization_id']}", question, values={"decision": "cancel"})]
    if search["status"] in {"failed", "cancelled"}:
        return [Action("Retry", f"/act/searches/{search['optimization_id']}", values={"decision": "retry"})]
    if search["model_name"] in catalog.names() and not search["optimization_id"].startswith(OF_A_JOB):
        question = "Train with the best parameters? The model serves only after it passed the gate and its canary."
        return [Action("Train", f"/act/searches/{search['optimization_id']}", question, values={"decision": "train"})]
    return []


def all_searches(asked: Asked) -> list[dict[str, Any]]:
    """The state of every search, newest first; read from their folders, so that no search library is loaded."""
    found = [folder.status() for folder in folders(_home(asked))]
    return sorted(found, key=lambda each: str(each["created_at"]), reverse=True)


def chosen_search(asked: Asked) -> dict[str, Any] | None:
    """The search that the address names, or the latest that has trials."""
    if named := asked.chosen.get("search"):
        safe = named.replace("-", "").isalnum()
        found = OptimizationFolder(_home(asked) / (named if safe else "-")).status()
        return None if found["status"] == NOTHING["status"] else {"trials": [], "importances": {}, **found}
    latest = next((each for each in all_searches(asked) if each["n_trials"]), None)
    return None if latest is None else {"trials": [], "importances": {}, **latest}


def _none_yet(asked: Asked) -> Empty:
    if not all_searches(asked):
        return _NO_SEARCH
    return Empty(
        "No trial has finished yet.", "The first one is on its way; this panel is drawn again when it is done."
    )


def _home(asked: Asked) -> Path:
    return (asked.application.settings.data_dir / FOLDER).absolute()


def trials(asked: Asked) -> Panel:
    """Scores of one search, trial by trial."""
    search = chosen_search(asked)
    found = [] if search is None else search["trials"]
    rows = [
        {"number": each["number"], "state": each["state"], "score": each["score"],
         "params": ", ".join(f"{name} {_value(value)}" for name, value in each["params"].items()),
         "seconds": each["seconds"], "memory": each["peak_memory_mib"], "reason": each["reason"]}
        for each in found
    ]  # fmt: skip
    scored = [row for row in rows if row["score"] is not None and row["state"] == "complete"]
    best, so_far = [], None
    upward = search is None or search["direction"] == "maximize"
    for row in scored:
        so_far = row["score"] if so_far is None else max(so_far, row["score"]) if upward else min(so_far, row["score"])
        best.append(so_far)
    return Panel(
        f"Trials{_of(search)}",
        (Column("number", "Trial", "number"), Column("state", "State", "state"), Column("score", "Score", "number"),
         Column("params", "Parameters"), Column("seconds", "Time", "seconds"),
         Column("memory", "Memory", "number", "MiB"), Column("reason", "Why it ended")),
        rows,
        _none_yet(asked),
        chart=charts.points([row["number"] for row in scored], [row["score"] for row in scored], best,
                            ("Trial", "Best so far")) if scored else None,
        note="A search never sees the part of the exchanges that judges a promotion.",
        topics=("jobs",),
        width=7,
    )  # fmt: skip


def importances(asked: Asked) -> Panel:
    """Which parameters moved the score."""
    search = chosen_search(asked)
    found = {} if search is None else search["importances"]
    rows = [{"parameter": name.replace("_", " "), "importance": value} for name, value in found.items()]
    return Panel(
        f"What mattered{_of(search)}",
        (Column("parameter", "Parameter"), Column("importance", "Share of the score's movement", "share")),
        rows,
        _none_yet(asked) if search is None else _TOO_FEW,
        chart=charts.bars([row["parameter"] for row in rows], [row["importance"] for row in rows], "%"),
        note="PED-ANOVA (Watanabe et al., 2023); adds up to 100 %.",
        topics=("jobs",),
        width=5,
    )  # fmt: skip


def coordinates(asked: Asked) -> Panel:
    """Every trial as a line across its parameters."""
    search = chosen_search(asked)
    done = [] if search is None else [each for each in search["trials"] if each["score"] is not None]
    names = list(dict.fromkeys(name for each in done for name in each["params"]))
    rows = [{"trial": each["number"], **{name: each["params"].get(name) for name in names}, "score": each["score"]}
            for each in done]  # fmt: skip
    axes = [{"name": name.replace("_", " "), "categories": _categories(rows, name)} for name in names]
    lines = [[_axis_value(row[name]) for name in names] + [row["score"]] for row in rows]
    columns = (
        Column("trial", "Trial", "number"),
        *(Column(name, name.replace("_", " "), "text" if axis["categories"] else "number")
          for name, axis in zip(names, axes, strict=True)),
        Column("score", "Score", "number"),
    )  # fmt: skip
    return Panel(
        f"Parameters together{_of(search)}",
        columns,
        rows,
        _none_yet(asked) if search is None else Empty("No trial has a score yet.", "Wait for the first one to finish."),
        chart=charts.parallel([*axes, {"name": "score", "categories": None}], lines,
                              [f"Trial {row['trial']}" for row in rows]) if rows else None,
        note="One line a trial; the best fifth of the scores stands out in colour and width.",
        topics=("jobs",),
        width=12,
    )  # fmt: skip


def _categories(rows: list[dict[str, Any]], name: str) -> list[str] | None:
    values = [row[name] for row in rows]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    return sorted({str(value) for value in values})


def _axis_value(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _of(search: Mapping[str, Any] | None) -> str:
    return "" if search is None else f" of {named(search)}"


def named(search: Mapping[str, Any]) -> str:
    """A search for people: its model and when it was asked for."""
    return f"{engine_label(search['model_name'])}, {search['created_at'][:16].replace('T', ' ')}"
