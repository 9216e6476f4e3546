"""The first steps of a job: wait for its turn, write and check the snapshot, choose parameters, train."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ism.domain.errors import InvalidInputError
from ism.domain.retraining import OPEN, ModelVersion, RetrainingJob
from ism.engines.split import SplitRule
from ism.retraining.parts import Parts, Pulse, Step, champion_of, snapshot_of
from ism.retraining.snapshot import make_snapshot, open_snapshot

_SEARCHING = {"adaptive": 10, "optimization": None}  # trials by default; None is the model's preset


def request(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step | None:
    """Wait for another run, the cool-down or the budget; else write the snapshot."""
    wait = _wait(parts, job)
    if wait is not None:
        until, reason = wait
        # A row for each new reason to wait, not for each time somebody looks.
        again = job.state == "DEFERRED" and job.detail.get("deferred") == reason
        return None if again else Step("DEFERRED", reason, {"deferred": reason}, until)
    config = parts.config
    rule = SplitRule(parts.clock(), config.maturity.total_seconds() / 86_400, config.fresh_share)
    made = make_snapshot(parts.source(), parts.encoder, rule, parts.snapshots)
    detail = {"snapshot": made.digest, "counts": made.counts, "cutoff": made.cutoff.isoformat()}
    return Step("SNAPSHOTTED", f"{made.counts['train']} exchanges to learn from, {made.counts['fresh']} fresh.", detail)


def _wait(parts: Parts, job: RetrainingJob) -> tuple[datetime, str] | None:
    now, config = parts.clock(), parts.config
    for other in parts.store.jobs(model_name=job.model_name, states=OPEN, limit=1000):
        if other.started_at is not None and other.job_id != job.job_id:
            return now, f"Job {other.job_id} of the same model has not ended."
    begun = parts.store.begun_since(job.model_name, now - timedelta(days=7))
    if len(begun) >= config.weekly_budget:
        return begun[config.weekly_budget - 1] + timedelta(
            days=7
        ), f"The budget of {config.weekly_budget} runs a week is spent."
    if job.trigger_type != "manual" and begun and begun[0] + config.cool_down > now:
        return begun[0] + config.cool_down, "The last run has not cooled down."
    return None


def validate(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step:
    """Refuse a snapshot that must not be learnt from."""
    from ism.retraining.validate import problems  # noqa: PLC0415 - polars loads where it is needed

    found = problems(snapshot_of(parts, job))
    if found:
        return Step("FAILED", "The snapshot was refused: " + " ".join(found))
    return Step("VALIDATED", "Nothing speaks against learning from the snapshot.")


def choose(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step:
    """Take the champion's parameters, from which a search starts where one was asked for."""
    champion = champion_of(parts, job.model_name)
    kind = job.config["retraining_type"]
    if kind == "feedback_driven" and champion is not None and _nothing_new(parts, job, champion):
        return Step("FAILED", "Nothing has matured since the champion was trained, so there is nothing to learn from.")
    params = dict(champion.params) if champion is not None else {}
    detail = {"params": params, "parent": champion.version_id if champion else None, "search": kind in _SEARCHING}
    whose = f"version {champion.number}" if champion else "the engine's defaults"
    return Step("TUNING", f"Parameters of {whose}{', from which a search starts' if detail['search'] else ''}.", detail)


def _nothing_new(parts: Parts, job: RetrainingJob, champion: ModelVersion) -> bool:
    """Whether the champion learnt from the very exchanges that the job would; no, where its snapshot is gone."""
    try:
        before = open_snapshot(parts.snapshots, champion.snapshot)
    except InvalidInputError:
        return False
    return before.learnt == snapshot_of(parts, job).learnt


def tune_and_train(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step:
    """Search where asked, then train in a process of its own; neither sees the fresh part."""
    snapshot, params = snapshot_of(parts, job), dict(job.detail["params"])
    if job.detail["search"]:
        if parts.search is None:
            return Step("FAILED", "This system has no search for parameters. Ask for the retraining_type full.")
        trials = _SEARCHING[job.config["retraining_type"]]
        asked = {"n_trials": trials, **job.config} if trials else job.config
        params = parts.search(job.job_id, job.model_name, snapshot.train, asked, params, pulse)
    told = {
        "engine": job.model_name,
        "snapshot": str(snapshot.train),
        "out": str(parts.artifact(job)),
        "params": params,
        "seed": job.config.get("seed", 0),
        "text_model": str(parts.text_model) if parts.text_model else None,
        "policy": dict(parts.policies.get(job.model_name, {})),
    }

    def tell(values: dict[str, Any]) -> bool:
        pulse.tell({"step": values.get("step", "training"), "progress": values.get("progress", 0.0)})
        return True

    outcome = parts.train(told, parts.config.training, on_report=tell, stop=pulse.stopped)
    if outcome.status != "done":
        return Step("FAILED", f"Training ended as {outcome.status}: {outcome.reason}", {"training": outcome.status})
    report = outcome.result
    kept = ("artifact", "params", "policy", "seed", "fit_seconds", "calibrate_seconds", "seconds", "versions")
    detail = {"training": {name: report[name] for name in kept if name in report}, "params": report["params"]}
    detail["training"]["peak_memory_mib"] = outcome.peak_memory_mib
    return Step("TRAINED", f"Trained in {report['seconds']:.1f} s.", detail)
