"""Feedback over HTTP."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from ism.app.wiring import Application
from ism.domain.errors import StorageError, StorageFullError
from ism.domain.market import Recommendation

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
RATING = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 4}}


def shown(application: Application, name: str, days_ago: float) -> None:
    application.store.log_recommendations(
        [
            Recommendation(
                name, f"q-{name}", 1, "company", "kiln", 0.5, 0.5, 0.5, offer={"offer_id": "ash"},
                created_at=NOW - days_ago * DAY,
            )
        ]
    )  # fmt: skip


def outcome(**data: object) -> dict[str, object]:
    return {"type": "match_outcome", "source": "external", "data": {"outcome": "accepted", **data}}


def test_an_event_is_stored_and_listed(client: TestClient) -> None:
    answer = client.post("/api/feedback", json=RATING)
    assert answer.status_code == 201
    page = client.get("/api/feedback").json()
    assert [item["event"]["event_id"] for item in page["items"]] == [answer.json()["feedback_id"]]
    assert page["items"][0]["event"]["data"] == RATING["data"]
    assert page["items"][0]["model_name"] == "matching"
    assert page["after"] is None
    assert client.get("/api/feedback", params={"limit": 1}).json()["after"] == page["items"][0]["sequence"]


def test_the_same_key_and_body_get_the_same_answer(client: TestClient) -> None:
    key = {"Idempotency-Key": "k1"}
    first, second = (client.post("/api/feedback", json=RATING, headers=key) for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = client.post("/api/feedback", json={**RATING, "priority": 5}, headers=key)
    assert other.status_code == 409
    assert "another body" in other.json()["detail"]
    named = client.post("/api/feedback", json={**RATING, "event_id": "e"}, headers=key)
    assert named.status_code == 409
    assert len(client.get("/api/feedback").json()["items"]) == 1


def test_the_same_event_id_and_body_get_the_same_answer(client: TestClient) -> None:
    event = {**RATING, "event_id": "e1", "event_time": (NOW - DAY).isoformat()}
    answers = [client.post("/api/feedback", json=event) for _ in range(3)]
    assert {(answer.status_code, answer.json()["feedback_id"]) for answer in answers} == {(201, "e1")}
    assert client.post("/api/feedback", json={**event, "data": {**RATING["data"], "rating": 1}}).status_code == 409


@pytest.mark.parametrize("key", ["", "k" * 121])
def test_a_key_that_cannot_be_used_is_named(client: TestClient, key: str) -> None:
    for path, body in (("/api/feedback", RATING), ("/api/feedback/batch", {"events": [RATING]})):
        answer = client.post(path, json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert client.get("/api/feedback").json()["items"] == []


def test_senders_do_not_share_their_keys(client: TestClient, application: Application) -> None:
    _, other = application.auth.create("other", "service")
    key = {"Idempotency-Key": "1"}
    mine = client.post("/api/feedback", json=RATING, headers=key)
    theirs = client.post("/api/feedback", json={**RATING, "priority": 1}, headers={**key, "X-API-Key": other})
    assert (mine.status_code, theirs.status_code) == (201, 201)


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ({**RATING, "data": {"model_name": "m", "rating": "banana"}}, "data.rating", "banana"),
        ({**RATING, "data": {"model_name": "m", "rating": 7}}, "data.rating", "7"),
        ({**RATING, "data": {"model_name": "m", "rating": 0}}, "data.rating", "0"),
        ({**RATING, "data": {"model_name": "m", "rating": True}}, "data.rating", "True"),
        ({**RATING, "data": {"model_name": "m", "rating": 3.5}}, "data.rating", "3.5"),
        ({**RATING, "data": {"rating": 3}}, "data.model_name", "None"),
        ({**RATING, "data": {"model_name": "m"}}, "data.rating", "None"),
        ({**RATING, "data": {"model_name": "m", "rating": 3, "feedback": "a\0b"}}, "data.feedback", "a"),
        ({**RATING, "data": {"model_name": "m", "rating": 3, "more": {"deep": ["\ud800"]}}}, "data.more.deep[0]", ""),
        ({**RATING, "type": "gossip"}, "type", "gossip"),
        ({**RATING, "event_type": "error"}, "event_type", "error"),
        ({**RATING, "source": "neighbour"}, "source", "neighbour"),
        ({**RATING, "priority": 9}, "priority", "9"),
        ({**RATING, "event_id": ""}, "event_id", ""),
        ({**RATING, "event_id": "x" * 201}, "event_id", "x"),
        ({**RATING, "event_tme": "2026"}, "event_tme", "2026"),
        ({**RATING, "event_time": "yesterday"}, "event_time", "yesterday"),
        ({**RATING, "event_time": "2026-01-01T00:00:00"}, "event_time", "2026"),
        ({**RATING, "event_time": (NOW + timedelta(hours=1)).isoformat()}, "event_time", ""),
        ({**RATING, "event_time": (NOW - 181 * DAY).isoformat()}, "event_time", ""),
        ({**RATING, "metadata": 3}, "metadata", "3"),
        ({**RATING, "data": [1]}, "data", "[1]"),
        ({"source": "user", "data": {}}, "type", "None"),
        (outcome(), "data.recommendation_id", "None"),
        (outcome(recommendation_id="never"), "data.recommendation_id", "never"),
        (outcome(offer_id="ash"), "data.recommendation_id", "None"),
        (outcome(offer_id="ash", receiver_id="moon"), "data.offer_id", "ash + moon"),
        (outcome(recommendation_id="old"), "data.recommendation_id", "old"),
        (outcome(recommendation_id="r", tonnes=-1), "data.tonnes", "-1"),
        (outcome(recommendation_id="r", outcome="married"), "data.outcome", "married"),
        ({"type": "system_metric", "data": {"metric_name": "m", "value": "high"}}, "data.value", "high"),
        ([RATING], "event", "type"),
        ("text", "event", "text"),
        (None, "event", "None"),
    ],
)
def test_what_cannot_be_used_is_named_and_kept(
    client: TestClient, application: Application, event: object, field: str, value: str
) -> None:
    shown(application, "old", 181)
    answer = client.post("/api/feedback", content=json.dumps(event).encode())
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    letters = client.get("/api/feedback/dead-letters").json()["items"]
    assert len(letters) == 1
    letter = letters[0]
    assert (letter["field"], letter["state"]) == (field, "open")
    assert value in letter["value"]
    assert letter["reason"]
    assert letter["letter_id"] in answer.json()["detail"]
    assert client.get("/api/feedback").json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"type": "error", "data": {"value": NaN}}', 422), (b"{broken", 400), (b"\xff\xfe", 400)]
)
def test_what_is_no_json_is_kept_too(client: TestClient, body: bytes, status: int) -> None:
    answer = client.post("/api/feedback", content=body)
    assert answer.status_code == status
    letter = client.get("/api/feedback/dead-letters").json()["items"][0]
    assert letter["body_bytes"] == len(body)
    assert letter["letter_id"] in answer.json()["detail"]


def test_a_text_of_10_mb_is_refused_and_its_beginning_kept(client: TestClient) -> None:
    event = {**RATING, "data": {"model_name": "m", "rating": 1, "feedback": "x" * 10_000_000}}
    answer = client.post("/api/feedback", json=event)
    assert answer.status_code == 422
    assert "10,000 characters" in answer.json()["detail"]
    letter = client.get("/api/feedback/dead-letters").json()["items"][0]
    assert letter["body_bytes"] > 10_000_000
    assert len(letter["body"]) == 64 * 1024
    assert len(letter["body_sha256"]) == 64
    replayed = client.post(f"/api/feedback/dead-letters/{letter['letter_id']}/replay")
    assert replayed.status_code == 422
    assert "beginning" in replayed.json()["detail"]


def test_a_body_above_every_limit_is_refused(client: TestClient) -> None:
    assert client.post("/api/feedback", content=b" " * (16 * 1024 * 1024 + 1)).status_code == 413


def test_late_events_join_what_was_shown(client: TestClient, application: Application) -> None:
    for days in (200, 170, 20, 3):
        shown(application, f"r{days}", days)
    late = (NOW - 10 * DAY).isoformat()
    by_pair = outcome(offer_id="ash", receiver_id="kiln")
    by_id = {**outcome(recommendation_id="r200"), "event_time": (NOW - 179 * DAY).isoformat(), "event_id": "a"}
    assert client.post("/api/feedback", json=by_id).status_code == 201
    for name, event in {"b": {**by_pair, "event_time": late}, "c": by_pair}.items():
        assert client.post("/api/feedback", json={**event, "event_id": name}).status_code == 201
    joined = {
        item["event"]["event_id"]: item["recommendation_id"] for item in client.get("/api/feedback").json()["items"]
    }
    assert joined == {"a": "r200", "b": "r20", "c": "r3"}
    before = {**outcome(recommendation_id="r3"), "event_time": (NOW - 5 * DAY).isoformat()}
    refused = client.post("/api/feedback", json=before)
    assert refused.status_code == 422
    assert "before the recommendation was shown" in refused.json()["detail"]


def test_a_batch_tells_each_result(client: TestClient) -> None:
    client.post("/api/feedback", json={**RATING, "event_id": "there"})
    events = [
        {**RATING, "event_id": "new"},
        {**RATING, "event_id": "there"},
        {**RATING, "event_id": "there", "priority": 1},
        {**RATING, "event_id": "bad", "data": {"rating": "banana"}},
        RATING,
        5,
    ]
    answer = client.post("/api/feedback/batch", json={"events": events})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [
        "stored", "duplicate", "conflict", "rejected", "stored", "rejected",
    ]  # fmt: skip
    assert [result["event_id"] for result in results[:4]] == ["new", "there", "there", "bad"]
    assert "'banana'" in results[3]["reason"]
    assert "another body" in results[2]["reason"]
    assert results[5]["event_id"] is None


def test_a_batch_sent_again_with_its_key_changes_nothing(client: TestClient) -> None:
    body = {"events": [RATING, {**RATING, "priority": 1}]}
    first, second = (
        client.post("/api/feedback/batch", json=body, headers={"Idempotency-Key": "k"}).json()["results"]
        for _ in range(2)
    )
    assert [result["event_id"] for result in first] == [result["event_id"] for result in second]
    assert {result["status"] for result in second} == {"duplicate"}


def test_a_batch_of_10000_is_taken_and_a_larger_one_is_not(client: TestClient) -> None:
    events = [RATING] * 10_000
    results = client.post("/api/feedback/batch", json={"events": events}).json()["results"]
    assert {result["status"] for result in results} == {"stored"}
    assert len({result["event_id"] for result in results}) == 10_000
    refused = client.post("/api/feedback/batch", json={"events": [*events, RATING]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "events"


@pytest.mark.parametrize("body", [[], {}, {"events": 1}, {"events": [], "more": 1}, None])
def test_a_batch_of_another_form_is_refused(client: TestClient, body: object) -> None:
    answer = client.post("/api/feedback/batch", content=json.dumps(body).encode())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "events"


def test_a_dead_letter_is_corrected_and_replayed_once(client: TestClient, application: Application) -> None:
    bad = outcome(recommendation_id="r")
    assert client.post("/api/feedback", json=bad).status_code == 422
    letter = client.get("/api/feedback/dead-letters?state=open").json()["items"][0]
    path = f"/api/feedback/dead-letters/{letter['letter_id']}"
    assert client.post(f"{path}/replay").status_code == 422
    assert client.get(path).json()["attempts"] == 2
    corrected = outcome(recommendation_id="r", outcome="rejected")
    assert client.post(f"{path}/replay", json={**corrected, "priority": 0}).json()["errors"][0]["field"] == "priority"
    assert client.get(path).json()["field"] == "priority"
    shown(application, "r", 0)
    replayed = client.post(f"{path}/replay", json=corrected)
    assert replayed.status_code == 200
    assert replayed.json()["state"] == "replayed"
    stored = client.get("/api/feedback").json()["items"]
    assert [item["event"]["event_id"] for item in stored] == [replayed.json()["event_id"]]
    assert stored[0]["event"]["data"]["outcome"] == "rejected"
    assert client.post(f"{path}/replay").status_code == 409
    assert client.post(f"{path}/discard").status_code == 409
    assert client.post("/api/feedback/dead-letters/none/replay").status_code == 404


def test_a_dead_letter_is_discarded(client: TestClient) -> None:
    client.post("/api/feedback", content=b"{")
    letter = client.get("/api/feedback/dead-letters").json()["items"][0]
    assert client.post(f"/api/feedback/dead-letters/{letter['letter_id']}/replay").status_code == 422
    discarded = client.post(f"/api/feedback/dead-letters/{letter['letter_id']}/discard").json()
    assert discarded["state"] == "discarded"
    assert client.get("/api/feedback/dead-letters?state=open").json()["items"] == []


def test_viewers_tell_nothing_and_see_no_bodies(anyone: TestClient, application: Application) -> None:
    _, key = application.auth.create("reader", "viewer")
    anyone.headers["X-API-Key"] = key
    assert anyone.post("/api/feedback", json=RATING).status_code == 403
    assert anyone.post("/api/feedback/batch", json={"events": [RATING]}).status_code == 403
    assert anyone.get("/api/feedback/dead-letters").status_code == 403
    assert anyone.get("/api/feedback/status").json()["feedback"]["total"] == 0


@pytest.mark.parametrize(("error", "status"), [(StorageFullError("full"), 507), (StorageError("away"), 503)])
def test_nothing_is_acknowledged_while_the_store_cannot_write(
    client: TestClient, application: Application, monkeypatch: pytest.MonkeyPatch, error: StorageError, status: int
) -> None:
    def fails(*_: object) -> None:
        raise error

    with monkeypatch.context() as away:
        away.setattr(application.store.feedback, "append", fails)
        answer = client.post("/api/feedback", json=RATING)
        assert answer.status_code == status
        assert ("Retry-After" in answer.headers) == (status == 503)
        assert client.post("/api/feedback", content=b"{").status_code == status
        assert client.get("/api/feedback").status_code == 200
    assert client.post("/api/feedback", json=RATING).status_code == 201
