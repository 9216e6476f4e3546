"""The five stages of the specification's pipeline, one after the other, on a system that runs."""

from datetime import UTC, datetime, timedelta

import pytest
from launching import launched

from ism.domain.market import Recommendation
from ism.feedback.priority import priority_of
from ism.settings import Settings
from ism.storage import open_store
from ism.testing.history import history

UNDER_WAY = {"REQUESTED", "SNAPSHOTTED", "VALIDATED", "TUNING", "TRAINED", "EVALUATED"}
STAGING = {"GATE_PASSED", "STAGED"}


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """On a simulated market with a past, and one match that was shown an hour ago."""
    folder = tmp_path_factory.mktemp("loop") / "data"
    companies, exchanges = history(24)
    shown = Recommendation(
        "shown", "request", 1, "company", "taker-0-3", 0.7, 0.5, 0.5, {"matching": 0.7},
        offer={"material": "coal fly ash"}, created_at=datetime.now(UTC) - timedelta(hours=1),
    )  # fmt: skip
    with open_store(Settings(data_dir=folder, _env_file=None)) as store:
        store.bulk_upsert([*companies, *exchanges])
        store.log_recommendations([shown])
    with launched(folder) as it:
        it.ready()
        yield it


def jobs(system, model: str = "") -> list[dict]:
    address = "/api/retraining-jobs" + (f"?model_name={model}" if model else "")
    return system.client.get(address).json()["jobs"]


def test_1_feedback_collection(system):
    """User feedback on matches, system performance metrics, match outcomes, errors and failures."""
    ann = {"recommendation_id": "shown", "actor_id": "ann"}
    told = [
        {"type": "user_feedback", "data": {**ann, "model_name": "gnn", "rating": 5}},
        {"type": "match_outcome", "data": {**ann, "outcome": "accepted"}},
        {"type": "system_metric", "source": "system", "data": {"metric_name": "queue", "value": 3, "component": "api"}},
        {"type": "error", "source": "system", "data": {"component": "api", "message": "timed out"}},
    ]  # fmt: skip
    answers = [system.client.post("/api/feedback", json=event) for event in told]
    assert [answer.status_code for answer in answers] == [201] * 4
    kept = system.client.get("/api/feedback/status").json()["feedback"]["by_type"]
    assert {event["type"] for event in told} == {name for name, count in kept.items() if count}


def test_2_feedback_processing(system):
    """Quality assessment, trend analysis, threshold checking, priority scoring."""
    system.client.post("/api/feedback/turn")
    assert priority_of("error") > priority_of("user_feedback", rating=5)
    (label, *_) = system.client.get("/api/feedback/labels/shown").json()["labels"]
    assert label["value"] == 1.0
    trends = system.client.get("/api/dashboard/feedback-analytics?days=7").json()["summary"]
    assert (trends["total_feedback"], trends["average_rating"]) == (1, 5.0)
    assert trends["trend"] is None  # of one rating
    assert "both halves" in trends["missing"]
    assert system.client.get("/api/feedback/status").json()["triggers"]["gnn"]["matured_events"] == 2


def test_3_retraining_triggers(system):
    """Scheduled (weekly), performance-based, feedback volume, manual."""
    assert jobs(system) == []
    watched = system.client.get("/api/feedback/status").json()["triggers"]["matching"]
    planned = datetime.fromisoformat(watched["next_scheduled"])
    assert planned.weekday() in {6, 0}  # Monday at 02:00 where the server stands, told in UTC
    assert {"negative_share", "rating_trend_fall", "live_quality_fall"} <= set(watched)
    events = [
        {"type": "user_feedback", "data": {"model_name": "matching", "rating": 4, "actor_id": f"actor {number % 60}"}}
        for number in range(101)
    ]
    results = system.client.post("/api/feedback/batch", json={"events": events}).json()["results"]
    assert {each["status"] for each in results} == {"stored"}
    system.wait(jobs)
    assert [(job["model_name"], job["trigger_type"]) for job in jobs(system)] == [("matching", "feedback")]
    by_hand = system.client.post("/api/retraining-jobs", json={"model_name": "knowledge_graph"}).json()
    assert (by_hand["model_name"], by_hand["trigger_type"]) == ("knowledge_graph", "manual")


def test_4_model_retraining(system):
    """Data preparation, model training, performance evaluation, improvement assessment."""
    system.wait(lambda it: jobs(it, "matching")[0]["state"] not in UNDER_WAY, 240)
    found = system.client.get(f"/api/retraining-jobs/{jobs(system, 'matching')[0]['job_id']}").json()
    passed = [move["to"] for move in found["moves"]]
    assert passed[:6] == ["REQUESTED", "SNAPSHOTTED", "VALIDATED", "TUNING", "TRAINED", "EVALUATED"]
    assert found["detail"]["verdict"] == "PASS", found["reports"]
    assert "# Gate: PASS" in found["reports"][0]
    log = (system.folder / "production_ai_system.log").read_text()
    assert "retraining" in log  # which is what the specification looks for


def test_5_model_deployment(system):
    """Performance comparison, automatic deployment, rollback on failure, version management."""
    (version,) = system.client.get("/api/models/matching/versions").json()["versions"]
    assert (version["number"], version["gate"]) == (1, "PASS")
    system.wait(lambda it: jobs(it, "matching")[0]["state"] not in UNDER_WAY | STAGING)
    assert jobs(system, "matching")[0]["state"] in {"SHADOW", "CANARY"}  # by itself; what follows takes days
    promoted = system.client.post("/api/models/matching/promote", json={"version": "1", "reason": "looked at"})
    assert (promoted.status_code, promoted.json()["champion"]) == (200, 1)
    offer = {"offer": {"material": "coal fly ash", "ewc": "10 01 02"}}
    answers = version["artifact"][:12]
    system.wait(lambda it: it.client.post("/api/matches", json=offer).json()["model_versions"]["matching"] == answers)
    back = system.client.post("/api/models/matching/rollback", json={"reason": "tried"})
    assert (back.status_code, back.json()["champion"]) == (200, None)
