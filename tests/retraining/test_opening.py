"""The pipeline on a data folder, without a server: as `AIRetrainingPipeline()` and the workers of Prefect open it."""

import pytest

from ism.feedback.limits import rules_from
from ism.feedback.triggering import Triggering
from ism.retraining import opening
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.settings import Settings
from ism.testing.history import history
from ism.testing.sample import WordEncoder


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", retraining_maturity_days=0, _env_file=None)


@pytest.fixture
def parts(settings, store, monkeypatch):
    """Opened on a filled store, with an encoder that takes no time to load."""
    companies, exchanges = history(12)
    store.bulk_upsert([*companies, *exchanges])
    monkeypatch.setattr(opening, "open_store", lambda settings: store)
    monkeypatch.setattr("ism.engines.catalog.text_encoder", lambda model=None: WordEncoder())
    return opening.default_parts(settings)


def test_a_job_that_searches_can(parts):
    pipeline = AIRetrainingPipeline(parts, background=False)
    job = pipeline.request("matching", "manual", {"retraining_type": "optimization", "n_trials": 1})
    pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert job.error_message is None or "search" not in job.error_message
    assert job.detail["params"]
    assert "training" in job.detail


def test_whoever_asked_is_told_of_the_end(parts, settings, store):
    triggering = Triggering(store, rules_from(settings), opening.utc_now, ["matching"])
    triggering.ask("matching", "new codes", "olga")
    pipeline = AIRetrainingPipeline(parts, background=False)
    triggering.deliver(lambda asked: pipeline.request(asked.model_name, "feedback", {}, asked.request_id))
    [asked] = triggering.requests()
    pipeline.cancel(asked.request_id)
    pipeline.run_due()
    assert pipeline.job(asked.request_id).status == "cancelled"
    assert [found.state for found in triggering.requests()] == ["finished"]
