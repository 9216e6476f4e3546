"""A real MLflow store gets a job's run once, with the gate's numbers and report."""

from datetime import UTC, datetime

import counting
import pytest

from ism.engines import catalog
from ism.retraining.mlflow_log import EXPERIMENT, log_job, try_log_job
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.settings import Settings

mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
pytestmark = pytest.mark.slow  # MLflow takes seconds to load and to make its tables


def test_a_job_is_logged_once_with_what_the_gate_saw(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # artifacts go below the working folder where no server keeps them
    monkeypatch.setitem(catalog.ENGINES, "counting", "counting:CountingEngine")
    counting.fill(store)
    parts = counting.parts_on(store, Settings(data_dir=tmp_path / "data", _env_file=None), lambda: datetime.now(UTC))
    pipeline = AIRetrainingPipeline(parts, background=False)
    asked = pipeline.request("counting")
    pipeline.run_due()
    job, looks = pipeline.job(asked.job_id), store.retraining.looks("counting")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run = log_job(uri, job, looks)
    assert log_job(uri, job, looks) == run
    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert [found.info.run_id for found in runs] == [run]
    assert runs[0].data.tags["ism.state"] == "BAKED"
    assert runs[0].data.metrics["better.challenger_mean"] == pytest.approx(
        next(check for check in looks[0].evidence["checks"] if check["name"] == "better")["numbers"]["challenger_mean"]
    )
    assert [file.path for file in client.list_artifacts(run)] == ["gate-1.md"]


def test_a_server_that_is_away_costs_a_line_in_the_log(store, caplog, monkeypatch):
    monkeypatch.setattr("ism.retraining.mlflow_log.log_job", lambda *a: (_ for _ in ()).throw(OSError("away")))
    counting_job = type("Job", (), {"job_id": "j"})()
    try_log_job("http://127.0.0.1:9", counting_job, [])
    assert "Job j could not be logged to MLflow: away" in caplog.text
