"""The calls that the specification prints for the retraining pipeline, as they are printed."""

import asyncio

import pytest

import ism.domain.retraining
import ism.retraining.pipeline
from backend import ai_retraining_pipeline
from backend.ai_retraining_pipeline import AIRetrainingPipeline


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a developer's .env has no place here
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_calls_as_printed(data_folder):
    async def printed() -> dict[str, object]:
        pipeline = AIRetrainingPipeline()
        try:
            job_id = await pipeline.schedule_retraining_job(
                model_name='matching',
                trigger_type='feedback',
                config={'retraining_type': 'optimization'}
            )  # fmt: skip
            return pipeline.get_job_status(job_id)
        finally:
            pipeline.close()
            pipeline._parts.store._database.close()

    status = asyncio.run(printed())
    assert status["model_name"] == "matching"
    assert status["trigger_type"] == "feedback"
    assert status["config"] == {"retraining_type": "optimization"}
    assert {"job_id", "status", "state", "created_at", "started_at", "completed_at", "error_message"} <= set(status)
    assert (data_folder / "ism.sqlite3").is_file()


def test_the_door_opens_onto_the_very_same_objects():
    assert ai_retraining_pipeline.__all__ == ["AIRetrainingPipeline", "RetrainingJob"]
    assert AIRetrainingPipeline is ism.retraining.pipeline.AIRetrainingPipeline
    assert ai_retraining_pipeline.RetrainingJob is ism.domain.retraining.RetrainingJob
