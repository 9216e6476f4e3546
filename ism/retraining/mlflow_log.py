"""Jobs as runs of an MLflow tracking server: the only room with MLflow (the extra ``mlflow``).

MLflow shows; the truth about a job stays in our own tables. What cannot be logged is told in our log, and the job goes
on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec

from ism.domain.errors import ConfigurationError
from ism.domain.retraining import GateLook, RetrainingJob

EXPERIMENT = "ism-retraining"
_JOB = "ism.job_id"
_log = logging.getLogger("ism.retraining")


def check_installed() -> None:
    """Raise ConfigurationError where MLflow is asked for and not there."""
    if find_spec("mlflow") is None:
        raise ConfigurationError(
            "ISM_MLFLOW_TRACKING_URI: MLflow is not installed. Install ism-ai-platform[mlflow], or unset it."
        )


def log_job(uri: str, job: RetrainingJob, looks: Sequence[GateLook]) -> str:
    """Log a job that has ended; the identifier of its run.

    A job that was logged before keeps its run, so telling it twice does no harm.

    Args:
        uri: of the tracking server, or of an MLflow database.
        job: its configuration, parameters and state become parameters and tags.
        looks: of the gate at this job's challenger; their numbers become metrics, their reports artifacts.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # to nobody but the named server
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds, and only where a tracking server is named

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
    before = client.search_runs([experiment], f"tags.`{_JOB}` = '{job.job_id}'", max_results=1)
    if before:
        return str(before[0].info.run_id)
    tags = {_JOB: job.job_id, "ism.model": job.model_name, "ism.state": job.state, "ism.trigger": job.trigger_type}
    snapshot, version = job.detail.get("snapshot"), job.detail.get("version_id")
    tags |= {name: str(value) for name, value in (("ism.snapshot", snapshot), ("ism.version", version)) if value}
    run = client.create_run(experiment, tags=tags, run_name=f"{job.model_name} {job.job_id[:8]}").info.run_id
    for name, value in {**job.config, **job.detail.get("params", {})}.items():
        client.log_param(run, name, value)
    for look in looks:
        for name, value in _numbers(look).items():
            client.log_metric(run, name, value, step=look.number)
        client.log_text(run, look.report, f"gate-{look.number}.md")
    client.set_terminated(run, "FAILED" if job.status == "failed" else "FINISHED")
    return str(run)


def try_log_job(uri: str, job: RetrainingJob, looks: Sequence[GateLook]) -> None:
    """As `log_job`; a server that is away costs a line in the log."""
    try:
        log_job(uri, job, looks)
    except Exception as error:  # noqa: BLE001 - whatever a tracking server does wrong must not touch a job
        _log.warning("Job %s could not be logged to MLflow: %s", job.job_id, error)


def _numbers(look: GateLook) -> dict[str, float]:
    """``check.number`` of every check that measured one."""
    return {
        f"{check['name']}.{name}".replace(" ", "_"): float(value)
        for check in look.evidence["checks"]
        for name, value in check.get("numbers", {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
