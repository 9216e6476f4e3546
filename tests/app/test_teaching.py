"""Matured labels move the fusion of a running application, each once."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.teaching import learn, outcomes_of, teach
from ism.app.wiring import open_application
from ism.domain.errors import ConflictError, StorageError
from ism.domain.market import Recommendation
from ism.fusion.methods import ADAPTIVE_MODEL

SAID = {"matching": 0.9, "knowledge_graph": 0.1, "gnn": 0.5, "federated": 0.5}


def show(application, names, scores=SAID):
    """Log recommendations that were shown yesterday."""
    at = datetime.now(UTC) - timedelta(days=1)
    application.store.log_recommendations(
        [
            Recommendation(name, f"q-{name}", 1, "company", "kiln", 0.5, 0.5, 1.0, scores, created_at=at)
            for name in names
        ]
    )


def tell(client, names, outcome="delivered"):
    """Report an outcome that a system saw of each."""
    events = [
        {"type": "match_outcome", "source": "external", "data": {"recommendation_id": name, "outcome": outcome}}
        for name in names
    ]
    answer = client.post("/api/feedback/batch", json={"events": events})
    assert {item["status"] for item in answer.json()["results"]} == {"stored"}


def weights(application):
    return application.fusion.registry.get(ADAPTIVE_MODEL).weights


def test_outcomes_move_the_weights_of_a_running_server(client, application):
    before = weights(application)
    show(application, ["a", "b", "c"])
    tell(client, ["a", "b", "c"])
    assert client.post("/api/feedback/turn").json()["followed"] == 3
    after = weights(application)
    assert after["matching"] > before["matching"]
    assert after["knowledge_graph"] < before["knowledge_graph"]
    listed = client.get("/api/fusion/models").json()["models"]
    assert next(model["weights"] for model in listed if model["model_id"] == ADAPTIVE_MODEL) == after
    history = application.fusion.weight_history()
    assert [step.outcome.recommendation_id for step in history] == ["a", "b", "c"]
    assert history[-1].weights == after


def test_no_label_counts_twice(client, application):
    show(application, ["a"])
    tell(client, ["a"], "accepted")
    assert client.post("/api/feedback/turn").json()["followed"] == 1
    moved = weights(application)
    tell(client, ["a"], "delivered")  # a heavier label of the same recommendation
    turn = client.post("/api/feedback/turn").json()
    assert (turn["labels"], turn["followed"]) == (1, 0)
    assert client.post("/api/feedback/turn").json()["followed"] == 0
    assert weights(application) == moved
    assert len(application.fusion.weight_history()) == 1


def test_a_restart_goes_on_where_it_stopped(settings, application, client, monkeypatch):
    show(application, ["a", "b"])
    tell(client, ["a"])
    client.post("/api/feedback/turn")
    moved = weights(application)
    # The process ends after the label was written, and before the fusion heard of it.
    monkeypatch.setattr(application.feedback.loop, "follow", None)
    tell(client, ["b"])
    client.post("/api/feedback/turn")
    application.close()
    with open_application(settings, make_matcher=application._make_matcher) as again:
        assert weights(again) == moved
        assert again.feedback.loop.turn().followed == 1
        assert [step.outcome.recommendation_id for step in again.fusion.weight_history()] == ["a", "b"]
        assert again.feedback.loop.turn().followed == 0


def test_a_crash_between_weights_and_their_mark_repeats_nothing(client, application, monkeypatch):
    show(application, ["a"])
    tell(client, ["a"])
    loop = application.feedback.loop
    loop.judge.judge()

    def away(*_):
        raise StorageError("away")

    with monkeypatch.context() as broken:
        broken.setattr(application.store, "set_setting", away)
        with pytest.raises(StorageError):
            teach(application.store, application.fusion, loop)
    moved = weights(application)
    assert teach(application.store, application.fusion, loop) == 0
    assert weights(application) == moved


def test_what_cannot_be_learnt_is_tried_again(client, application, monkeypatch):
    show(application, ["a"])
    tell(client, ["a"])
    loop = application.feedback.loop
    with monkeypatch.context() as broken:
        broken.setattr(loop, "follow", lambda _: (_ for _ in ()).throw(StorageError("away")))
        with pytest.raises(StorageError):
            loop.turn()
    assert loop.turn().followed == 1


def test_silent_and_unknown_engines_are_left_out(client, application):
    show(application, ["a"], {"guest": 0.9})
    show(application, ["b"], {"matching": 0.8, "guest": 0.9})
    tell(client, ["a", "b"])
    loop = application.feedback.loop
    loop.turn()
    outcomes = outcomes_of(loop.labels())
    assert outcomes.recommendation_id == ["b"]
    assert list(outcomes.scores) == ["matching"]
    assert (outcomes.weight <= 1).all()


def test_a_model_is_learnt_over_http_and_does_not_answer_by_itself(client, application):
    refused = client.post("/api/fusion/learn")
    assert refused.status_code == 409
    assert "30" in refused.json()["detail"]
    good, bad = [f"g{number}" for number in range(25)], [f"b{number}" for number in range(25)]
    show(application, good)
    show(application, bad, {**SAID, "matching": 0.2, "knowledge_graph": 0.15})
    tell(client, good, "delivered")
    tell(client, bad, "failed")
    client.post("/api/feedback/turn")
    model = client.post("/api/fusion/learn").json()
    assert (model["model_id"], model["is_active"]) == ("outcome_stacking", False)
    assert model["weights"]["matching"] > model["weights"]["knowledge_graph"]
    assert model["performance_metrics"]["log_loss"] < model["performance_metrics"]["default"]["log_loss"]
    assert client.put("/api/fusion/active", json={"model_id": model["model_id"]}).status_code == 200
    assert client.get("/api/fusion/models").json()["active_model"] == "outcome_stacking"


def test_too_few_outcomes_teach_nothing(application):
    with pytest.raises(ConflictError, match="fewer than 30"):
        learn(application.fusion, application.feedback.loop)


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("service", 403), ("operator", 409)])
def test_who_may_let_it_learn(application, client, role, status):
    _, key = application.auth.create("somebody", role)
    assert client.post("/api/fusion/learn", headers={"X-API-Key": key}).status_code == status


def test_a_served_application_learns_by_itself(settings):
    """With the loop's own thread, as `ism serve` runs it."""
    quick = settings.model_copy(update={"feedback_turn_s": 0.05})
    with open_application(quick, make_matcher=FakeMatcher) as served:
        served.auth.ensure_admin(ADMIN_KEY)
        show(served, ["a"])
        before = weights(served)
        with TestClient(create_app(served), headers={"X-API-Key": ADMIN_KEY}) as client:
            tell(client, ["a"])
            deadline = time.monotonic() + 30
            while weights(served) == before and time.monotonic() < deadline:
                time.sleep(0.05)
        assert weights(served)["matching"] > before["matching"]


def test_a_request_to_train_the_fusion_is_worked_off(application):
    """Nothing is known yet, so nothing can be learnt; the request ends all the same."""
    application.warm_up()
    triggering = application.feedback.loop.triggering
    triggering.ask("fusion", "It is time.", "me")
    assert application.feedback.loop.turn().delivered == 1
    assert [request.state for request in triggering.requests()] == ["finished"]
    with pytest.raises(ConflictError, match=r"0 outcomes are older"):
        application.challenge_fusion()


def test_who_may_let_the_fusion_be_challenged(client):
    refused = client.post("/api/fusion/challenge")
    assert refused.status_code == 409
    assert "30 are needed to learn from" in refused.json()["detail"]
