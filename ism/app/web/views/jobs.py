"""Jobs: retraining from request to end, and searches for better parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ism.app.phrases import engine_label
from ism.app.web.page import Asked, Filter, Page
from ism.app.web.panel import ACTIONS, LINKS, Action, Column, Empty, Panel, Row
from ism.app.web.views import searches
from ism.app.web.words import duration
from ism.domain.errors import NotFoundError
from ism.domain.retraining import ENDED, PROGRESS, RetrainingJob
from ism.engines import catalog
from ism.retraining.opening import training_log
from ism.tuning.folder import LOG

_ROWS = 200
_LOG_BYTES = 16_384
_NO_JOB = Empty(
    "Nothing has been retrained yet.",
    "Feedback asks for it by itself; choose a model above to ask by hand.",
)


def retraining(asked: Asked) -> Panel:
    """Every job, newest first."""
    found = asked.application.store.retraining.jobs(limit=_ROWS)
    now = datetime.now(UTC)
    lease = timedelta(seconds=asked.application.settings.retraining_lease_s)
    rows: list[Row] = [
        {
            "created_at": job.created_at, "model": engine_label(job.model_name), "trigger": job.trigger_type,
            "type": str(job.config.get("retraining_type", "full")).replace("_", " "), "status": job.status,
            "state": _step(job), "beat": heartbeat(job, now, lease),
            "took": _took(job),
            "error": job.error_message, ACTIONS: _actions(job) if asked.may_write else (),
            LINKS: {"model": asked.address("/jobs", job=job.job_id) + "#panel-history"},
        }
        for job in found
    ]  # fmt: skip
    return Panel(
        "Retraining",
        (Column("created_at", "Asked", "time", "UTC"), Column("model", "Model"), Column("status", "Status", "state"),
         Column("state", "Step"), Column("beat", "Heartbeat"), Column("trigger", "Trigger"), Column("type", "Type"),
         Column("took", "Took", "seconds"), Column("error", "What went wrong")),
        rows,
        _NO_JOB,
        note="Choose a model to see what happened step by step and what was printed. A worker that does not answer for "
        f"{duration(lease.total_seconds())} is taken for dead, and its job is carried on from its last step.",
        topics=("jobs",),
        width=12,
    )  # fmt: skip


def _step(job: RetrainingJob) -> str:
    """Where a job stands, and how far what runs there is."""
    at, told = job.state.replace("_", " ").capitalize(), job.detail.get(PROGRESS)
    return at if told is None or job.state in ENDED else f"{at}: {told['step']}, {told['progress']:.0%}"


def _took(job: RetrainingJob) -> float | None:
    return (job.completed_at - job.started_at).total_seconds() if job.started_at and job.completed_at else None


def heartbeat(job: RetrainingJob, now: datetime, lease: timedelta) -> str | None:
    """How long ago a job's worker was heard of, who prolongs the lease each time; waiting and ended jobs have none."""
    if job.state in ENDED:
        return None
    if job.lease_until is None:
        waits = job.not_before
        return f"waits until {waits:%Y-%m-%d %H:%M} UTC" if waits and waits > now else "waits for a worker"
    quiet = (now - (job.lease_until - lease)).total_seconds()
    return f"{duration(max(quiet, 0.0))} ago" + ("; lost, to be carried on" if job.lease_until < now else "")


def _actions(job: RetrainingJob) -> list[Action]:
    address = f"/act/jobs/{job.job_id}"
    if job.state not in ENDED:
        question = "Cancel this job? It ends at its next step; a promoted model stays."
        return [Action("Cancel", address, question, values={"decision": "cancel"})]
    if job.state in {"FAILED", "ROLLED_BACK", "REJECTED"}:
        return [Action("Retry", address, values={"decision": "retry"})]
    return []


def chosen_job(asked: Asked) -> RetrainingJob | None:
    """The job that the address names, or the latest that has not been joined to another."""
    store = asked.application.store.retraining
    if named := asked.chosen.get("job"):
        try:
            return store.get_job(named)
        except NotFoundError:
            return None
    return next((job for job in store.jobs(limit=_ROWS) if job.state != "COALESCED"), None)


def named_job(job: RetrainingJob) -> str:
    """A job for people: its model and when it was asked for."""
    return f"{engine_label(job.model_name)}, {job.created_at:%Y-%m-%d %H:%M}"


def history(asked: Asked) -> Panel:
    """One job, step by step."""
    job = chosen_job(asked)
    moves = [] if job is None else asked.application.store.retraining.moves(job.job_id)
    rows = [
        {"at": move.at, "to": move.to_state.replace("_", " ").capitalize(), "reason": move.reason,
         "after": (move.at - before.at).total_seconds() if before else None}
        for before, move in zip([None, *moves], moves, strict=False)
    ]  # fmt: skip
    of = "" if job is None else f" to {named_job(job)}"
    return Panel(
        f"What happened{of}",
        (Column("at", "When", "time", "UTC"), Column("to", "Step"), Column("after", "After", "seconds"),
         Column("reason", "Why")),
        rows,
        _NO_JOB,
        topics=("jobs",),
        width=8,
        cards=True,
    )  # fmt: skip


def log(asked: Asked) -> Panel:
    """The end of what one job and one search printed: those that the address names, or the latest of both."""
    settings = asked.application.settings
    named = {"job", "search"} & set(asked.chosen)
    job = chosen_job(asked) if "job" in named or not named else None
    search = searches.chosen_search(asked) if "search" in named or not named else None
    files: dict[str, Path] = {}
    if job is not None:
        files[f"Training of {named_job(job)}"] = training_log(settings, job.job_id)
    if search is not None:
        files[f"Search of {searches.named(search)}"] = (
            settings.data_dir / searches.FOLDER / str(search["optimization_id"]) / LOG
        )
    rows = [{"source": name, "line": line} for name, path in files.items() for line in _tail(path)]
    silent = [name for name, path in files.items() if not _tail(path)]
    return Panel(
        "What was printed",
        (Column("source", "Of"), Column("line", "Line", "code")),
        rows[-_ROWS:],
        Empty(
            "; ".join(f"{name}: nothing was printed" for name in files) + "." if files else "There is no job yet.",
            "Training and searches write here only what their libraries say; steps stand above.",
        ),
        note=f"The last {_LOG_BYTES // 1024} KiB of each."
        + "".join(f" {name}: nothing was printed." for name in silent),
        topics=("jobs",),
        width=12,
        total=len(rows),
    )


def _tail(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_BYTES))
        return [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]


def filters(asked: Asked) -> list[Filter]:
    """Which job and which search to look into."""
    jobs = [(each.job_id, named_job(each)) for each in asked.application.store.retraining.jobs(limit=_ROWS)]
    found: list[tuple[str, str]] = [
        (each["optimization_id"], searches.named(each)) for each in searches.all_searches(asked)[:_ROWS]
    ]
    both = (Filter("job", "Job", jobs, "Latest"), Filter("search", "Search", found, "Latest with trials"))
    return [each for each in both if each.options]


def begin(asked: Asked) -> Panel:
    """What can be begun by hand."""
    rows: list[dict[str, Any]] = [
        {
            "model": engine_label(name),
            ACTIONS: [
                Action("Retrain", "/act/jobs", f"Retrain {engine_label(name)}? It serves only after it passed the gate "
                       "and its canary.", values={"model": name}),
                Action("Search", "/act/searches", f"Search better parameters of {engine_label(name)}? "
                       "It runs in the background.", values={"model": name}),
            ] if asked.may_write else (),
        }
        for name in catalog.names()
    ]  # fmt: skip
    return Panel(
        "Begin by hand",
        (Column("model", "Model"),),
        rows,
        Empty("There is no model.", "Look into the list of engines."),
        note="A wish by hand need not wait for the cool-down, but never skips the gate.",
        width=4,
    )


PAGE = Page(
    "jobs",
    "Jobs",
    "What is being trained and searched, how far it is, and what came of it.",
    {
        "retraining": retraining,
        "history": history,
        "begin": begin,
        "searches": searches.searches,
        "trials": searches.trials,
        "importances": searches.importances,
        "coordinates": searches.coordinates,
        "log": log,
    },
    filters,
    timed=False,
    whole={"": f"The latest {_ROWS} jobs and searches, whenever they were."},
)
