"""The calls that the specification prints for the feedback orchestrator, as they are printed."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ism.domain.feedback
import ism.feedback.orchestrator
from backend import ai_feedback_orchestrator
from backend.ai_feedback_orchestrator import AIFeedbackOrchestrator, FeedbackEvent, RetrainingTrigger
from ism.storage import open_sqlite


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_calls_as_printed(folder: Path):
    async def printed():
        orchestrator = AIFeedbackOrchestrator()
        feedback_id = await orchestrator.ingest_feedback({
            'type': 'user_feedback',
            'source': 'user',
            'data': {
                'model_name': 'matching',
                'rating': 4,
                'feedback': 'Great match quality'
            }
        })  # fmt: skip
        status = await orchestrator.get_system_status()
        orchestrator.close()
        return feedback_id, status

    feedback_id, status = asyncio.run(printed())
    assert status["feedback"] == {"total": 1, "by_type": {"user_feedback": 1}, "last_sequence": 1}
    assert status["status"] == "operational"
    with open_sqlite(folder) as store:
        event = store.feedback.event(feedback_id).event
    assert isinstance(event, FeedbackEvent)
    assert event.data == {"model_name": "matching", "rating": 4, "feedback": "Great match quality"}
    assert (event.event_type, event.source, event.priority) == ("user_feedback", "user", 3)


def test_the_shorter_call_without_a_source():
    async def printed():
        with AIFeedbackOrchestrator() as orchestrator:
            return await orchestrator.ingest_feedback(
                {"type": "user_feedback", "data": {"model_name": "gnn", "rating": 2}}
            )

    assert asyncio.run(printed())


def test_two_in_one_process_share_the_folder_and_give_it_back(folder: Path):
    first, second = AIFeedbackOrchestrator(), AIFeedbackOrchestrator()
    event = {"type": "error", "event_id": "e", "data": {"component": "gnn", "message": "out of memory"}}
    assert {asyncio.run(one.ingest_feedback(event)) for one in (first, second)} == {"e"}
    first.close()
    assert asyncio.run(second.ingest_feedback(event)) == "e"
    second.close()
    open_sqlite(folder).close()


def test_one_that_is_forgotten_gives_the_folder_back(folder: Path):
    asyncio.run(AIFeedbackOrchestrator().get_system_status())
    open_sqlite(folder).close()


def test_the_door_opens_onto_the_very_same_objects():
    assert ai_feedback_orchestrator.__all__ == ["AIFeedbackOrchestrator", "FeedbackEvent", "RetrainingTrigger"]
    assert AIFeedbackOrchestrator is ism.feedback.orchestrator.AIFeedbackOrchestrator
    assert FeedbackEvent is ism.domain.feedback.FeedbackEvent
    assert RetrainingTrigger is ism.domain.feedback.RetrainingTrigger


def test_it_runs_by_itself_and_says_what_it_does(folder: Path):
    script = Path(ai_feedback_orchestrator.__file__)
    lines = '{"type": "user_feedback", "data": {"model_name": "gnn", "rating": 5}}\nnonsense\n{"type": "gossip"}\n'
    done = subprocess.run(
        [sys.executable, str(script)], input=lines, capture_output=True, text=True, timeout=120, check=True
    )
    assert "takes in" in done.stderr
    first, stored, broken, refused, last = map(json.loads, done.stdout.splitlines())
    assert first["feedback"]["total"] == 0
    assert stored["status"] == "stored"
    assert "not JSON" in broken["error"]
    assert refused["status"] == "rejected"
    assert "'gossip'" in refused["reason"]
    assert last["dead_letters"] == {"open": 1}
    with open_sqlite(folder) as store:
        assert store.feedback.event(stored["event_id"]).event.data["rating"] == 5
