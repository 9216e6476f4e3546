"""Labels, quarantine, trust and triggers over HTTP."""

import pytest
from starlette.testclient import TestClient

from ism.app.wiring import Application, open_application
from ism.domain.errors import ConfigurationError
from ism.domain.market import Recommendation
from ism.feedback.orchestrator import FUSION
from ism.settings import Settings


@pytest.fixture
def shown(application: Application) -> list[str]:
    """Forty recommendations."""
    names = [f"r{number}" for number in range(40)]
    application.store.log_recommendations(
        [
            Recommendation(name, "q", rank, "company", f"k{rank}", 0.5, 0.5, 1.0, offer={"material": "ash"})
            for rank, name in enumerate(names, 1)
        ]
    )
    return names


def outcome(name: str, what: str, actor: str | None = None, source: str = "user") -> dict[str, object]:
    said = {"recommendation_id": name, "outcome": what, **({"actor_id": actor} if actor else {})}
    return {"type": "match_outcome", "source": source, "event_id": f"{name}-{what}", "data": said}


def tell(client: TestClient, *events: dict[str, object]) -> dict[str, int]:
    results = client.post("/api/feedback/batch", json={"events": list(events)}).json()["results"]
    assert {item["status"] for item in results} == {"stored"}
    return client.post("/api/feedback/turn").json()


def test_an_outcome_becomes_a_label_with_its_history(client: TestClient, shown: list[str]) -> None:
    done = tell(client, outcome("r0", "accepted", "ann"))
    assert (done["events"], done["labels"], done["held"]) == (1, 1, 0)
    tell(client, outcome("r0", "failed", source="external"))
    labels = client.get("/api/feedback/labels/r0").json()["labels"]
    assert [(item["outcome"], item["value"]) for item in labels] == [("accepted", 1.0), ("failed", 0.0)]
    assert client.get("/api/feedback/labels/r1").json() == {"labels": []}


def test_a_burst_can_be_read_and_released(client: TestClient, shown: list[str]) -> None:
    done = tell(client, *(outcome(name, "rejected", "eve") for name in shown[:32]))
    assert done["held"] == 2
    page = client.get("/api/feedback/quarantine", params={"state": "held", "limit": 1}).json()
    entry = page["items"][0]
    assert "eve made 3" in entry["reason"]
    assert page["after"] == entry["event_id"]
    path = f"/api/feedback/quarantine/{entry['event_id']}/release"
    assert client.post(path, json={}).status_code == 422
    released = client.post(path, json={"reason": "Read out over the phone."}).json()
    assert (released["state"], released["decided_reason"]) == ("released", "Read out over the phone.")
    assert client.post(path.replace("release", "ignore"), json={"reason": "x"}).status_code == 422
    missing = client.post("/api/feedback/quarantine/none/confirm", json={"reason": "x"})
    assert missing.status_code == 404


def test_trust_can_be_read_and_set(client: TestClient, shown: list[str]) -> None:
    tell(client, outcome("r0", "accepted", "plant/ann"))
    actor = client.get("/api/feedback/trust").json()["actors"][0]
    assert (actor["actor_id"], actor["trust"], actor["override_trust"]) == ("plant/ann", 0.2, None)
    assert actor["reasons"][0] == "A new actor starts at 0.20."
    word = {"trust": 0.9, "reason": "Known for years."}
    assert client.put("/api/feedback/trust/plant/ann", json=word).json()["override_trust"] == 0.9
    assert client.get("/api/feedback/labels/r0").json()["labels"][-1]["weight"] == pytest.approx(0.54)
    for bad in ({"trust": 2, "reason": "x"}, {"trust": 0.5}, {"reason": "x"}, {"trust": "much", "reason": "x"}):
        assert client.put("/api/feedback/trust/plant/ann", json=bad).status_code == 422
    assert client.put("/api/feedback/trust/nobody", json=word).status_code == 404


def test_a_training_is_asked_for_and_taken_once(application: Application, client: TestClient) -> None:
    taken: list[str] = []
    application.feedback.loop.deliver = lambda request: taken.append(request.model_name)
    wish = {"model_name": FUSION, "reason": "new codes"}
    assert client.post("/api/feedback/triggers", json=wish).json()["decision"] == "fired"
    assert client.post("/api/feedback/triggers", json=wish).json()["decision"] == "coalesced"
    bad = client.post("/api/feedback/triggers", json={**wish, "model_name": "oracle"})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "model_name")
    client.post("/api/feedback/turn")
    client.post("/api/feedback/turn")
    assert taken == [FUSION]
    assert client.get("/api/feedback/retraining-requests").json()["requests"][0]["state"] == "delivered"
    decided = client.get("/api/feedback/triggers", params={"model_name": FUSION}).json()["triggers"]
    assert {item["decision"] for item in decided} == {"fired", "coalesced"}


def test_the_status_tells_the_state_of_the_triggers(client: TestClient) -> None:
    rating = {"type": "user_feedback", "data": {"model_name": "matching", "rating": 5}}
    client.post("/api/feedback/batch", json={"events": [rating] * 101})
    found = client.get("/api/feedback/status").json()
    assert found["judged_sequence"] == found["feedback"]["last_sequence"]
    assert found["triggers"]["matching"]["last_decision"] == "fired"
    assert "101 exceeds 100" in found["triggers"]["matching"]["last_reason"]
    assert found["triggers"]["knowledge_graph"]["last_decision"] is None


def test_a_schedule_that_cannot_be_read_is_told_at_the_start(settings: Settings) -> None:
    wrong = settings.model_copy(update={"schedule_weekly": "moonday 02:00", "data_dir": settings.data_dir / "other"})
    with pytest.raises(ConfigurationError, match="schedule_weekly"):
        open_application(wrong, warm=False)
