"""What people decide about learning is in the audit log, from the page as from the API, and only where it was done."""

import pytest
from app_fakes import fill
from starlette.testclient import TestClient

from ism.app.wiring import Application
from ism.domain.audit import Act
from ism.domain.errors import StorageFullError
from ism.domain.market import Recommendation

SEARCH = {"model_name": "matching", "n_trials": 3}


def acts(application: Application, kind: str) -> list[tuple[str, str]]:
    """Actions of a kind and what they were done to, oldest first."""
    found = [entry for entry in application.store.audit.entries() if entry.action.startswith(kind)]
    assert {entry.actor for entry in found} <= {"ISM_ADMIN_KEY"}
    return [(entry.action, entry.target) for entry in reversed(found)]


def rated(rating: int) -> dict[str, object]:
    return {"type": "user_feedback", "source": "user", "data": {"rating": rating, "model_name": "gnn"}}


def letter(client: TestClient, application: Application, rating: int) -> str:
    client.post("/api/feedback", json=rated(rating))
    (found,) = application.store.feedback.dead_letters("open")
    return found.letter_id


def test_letters(client: TestClient, application: Application) -> None:
    first = letter(client, application, 9)
    path = f"/api/feedback/dead-letters/{first}"
    assert client.post(f"{path}/replay").status_code == 422
    assert client.post(f"/act/letters/{first}", data={"decision": "replay"}).status_code == 422
    assert client.post(f"{path}/replay", json=rated(4)).status_code == 200
    second = letter(client, application, 8)
    client.post(f"/act/letters/{second}", data={"decision": "discard"})
    third = letter(client, application, 7)
    client.post(f"/api/feedback/dead-letters/{third}/discard")
    assert client.post(f"/api/feedback/dead-letters/{third}/discard").status_code == 409
    done = [("letter.replay", first), ("letter.discard", second), ("letter.discard", third)]
    assert acts(application, "letter.") == done


def test_quarantine_and_trust(client: TestClient, application: Application) -> None:
    names = [f"r{number}" for number in range(32)]
    application.store.log_recommendations(
        [
            Recommendation(name, "q", rank, "company", f"k{rank}", 0.5, 0.5, 1.0, offer={"material": "ash"})
            for rank, name in enumerate(names, 1)
        ]
    )
    said = [
        {"type": "match_outcome", "data": {"recommendation_id": name, "outcome": "rejected", "actor_id": "eve"}}
        for name in names
    ]
    client.post("/api/feedback/batch", json={"events": said})
    client.post("/api/feedback/turn")
    held = [each.event_id for each in application.feedback.loop.review.quarantined("held")]
    why = {"reason": "Read out over the phone."}
    client.post(f"/api/feedback/quarantine/{held[0]}/release", json=why)
    client.post(f"/act/quarantine/{held[1]}", data={"decision": "confirm", **why})
    assert client.post("/api/feedback/quarantine/none/confirm", json=why).status_code == 404
    assert acts(application, "quarantine.") == [("quarantine.released", held[0]), ("quarantine.confirmed", held[1])]
    client.put("/api/feedback/trust/eve", json={"trust": 0.9, **why})
    assert client.put("/api/feedback/trust/nobody", json={"trust": 0.9, **why}).status_code == 404
    (entry,) = [entry for entry in application.store.audit.entries() if entry.action == "trust.change"]
    assert (entry.target, entry.details) == ("eve", {"trust": "0.9", **why})


def test_jobs_and_wishes(client: TestClient, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application.retraining.pipeline, "start", lambda: None)  # so that the job waits
    first = client.post("/api/retraining-jobs", json={"model_name": "matching"}).json()["job_id"]
    client.post(f"/api/retraining-jobs/{first}/cancel")
    client.post("/act/jobs", data={"model": "gnn"})
    second = next(job.job_id for job in application.retraining.pipeline.jobs("gnn"))
    client.post(f"/act/jobs/{second}", data={"decision": "cancel"})
    assert client.post("/act/jobs", data={"model": "nobody"}).status_code == 404
    assert client.post("/api/retraining-jobs/none/cancel").status_code == 404
    client.post("/api/feedback/triggers", json={"model_name": "gnn", "reason": "new codes"})
    assert acts(application, "retraining.") == [
        ("retraining.request", first),
        ("retraining.cancel", first),
        ("retraining.request", second),
        ("retraining.cancel", second),
        ("retraining.wish", "gnn"),
    ]


def test_searches(client: TestClient, application: Application) -> None:
    fill(application.store)
    first = client.post("/api/optimizations", json=SEARCH).json()["optimization_id"]
    client.delete(f"/api/optimizations/{first}")
    assert client.delete(f"/api/optimizations/{first}").status_code == 409
    client.post(f"/act/searches/{first}", data={"decision": "retry"})
    every = [each["optimization_id"] for each in application.tuning.optimizer.list_optimizations()]
    (second,) = set(every) - {first}
    client.post(f"/act/searches/{second}", data={"decision": "cancel"})
    assert acts(application, "search.") == [
        ("search.begin", first),
        ("search.cancel", first),
        ("search.begin", second),
        ("search.cancel", second),
    ]


def test_components(client: TestClient, application: Application) -> None:
    client.post("/act/components/matcher")
    assert acts(application, "component.") == [("component.restart", "matcher")]


def test_where_there_is_no_room_it_is_done_and_the_log_says_so(
    client: TestClient, application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(act: Act) -> None:
        raise StorageFullError("No space left.")

    first = letter(client, application, 9)
    monkeypatch.setattr(application.store.audit, "append", full)
    assert client.post(f"/act/letters/{first}", data={"decision": "discard"}).status_code == 303
    assert application.store.feedback.dead_letter(first).state == "discarded"
    assert f"no room to note letter.discard of {first} by ISM_ADMIN_KEY" in caplog.text
