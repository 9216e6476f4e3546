"""Fusion models over HTTP, on the command line, and in the answers of the matching service."""

import json

import pytest
from typer.testing import CliRunner

from ism.app.cli.root import app
from ism.domain.market import Offer


def test_models_are_listed_and_switched(client):
    listed = client.get("/api/fusion/models").json()
    assert listed["active_model"] == "default_weighted_sum"
    assert [model["model_id"] for model in listed["models"]] == ["default_weighted_sum", "rrf", "adaptive"]
    assert [model["is_active"] for model in listed["models"]] == [True, False, False]
    done = client.put("/api/fusion/active", json={"model_id": "rrf", "reason": "cold start"}).json()
    assert (done["number"], done["model_id"], done["previous_id"]) == (1, "rrf", "default_weighted_sum")
    assert done["reason"] == "cold start"
    assert client.get("/api/fusion/models").json()["active_model"] == "rrf"
    back = client.post("/api/fusion/revert").json()
    assert (back["model_id"], back["reverts"]) == ("default_weighted_sum", 1)
    assert [switch["number"] for switch in client.get("/api/fusion/switches").json()["switches"]] == [2, 1]
    assert client.post("/api/fusion/revert").status_code == 409


def test_bad_choices_are_refused(client):
    assert client.put("/api/fusion/active", json={"model_id": "gone"}).status_code == 404
    assert client.put("/api/fusion/active", json={}).status_code == 422
    assert client.put("/api/fusion/active", json={"model_id": "rrf", "why": "x"}).status_code == 422
    assert client.get("/api/fusion/models").json()["active_model"] == "default_weighted_sum"


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("service", 403), ("operator", 200)])
def test_who_may_switch(application, client, role, status):
    _, key = application.auth.create("somebody", role)
    headers = {"X-API-Key": key}
    assert client.get("/api/fusion/models", headers=headers).status_code == 200
    assert client.put("/api/fusion/active", json={"model_id": "rrf"}, headers=headers).status_code == status
    if status == 200:
        [switch] = application.fusion.switches()
        assert switch.actor == "somebody"
    else:
        assert application.fusion.switches() == []


def test_the_command_line_lists_switches_and_reverts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = ["--data-dir", str(tmp_path / "data")]

    def said(*arguments):
        done = CliRunner().invoke(app, ["fusion", *arguments, *folder])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert json.loads(said("models", "--json"))["active_model"] == "default_weighted_sum"
    assert "adaptive version 1 answers now" in said("use", "adaptive", "--reason", "try it")
    assert "adaptive" in said("models")
    assert json.loads(said("revert", "--json"))["model_id"] == "default_weighted_sum"
    again = CliRunner().invoke(app, ["fusion", "revert", *folder])
    assert again.exit_code == 1


def test_matching_follows_the_active_model(real_application):
    """The first fit lists learnt models with figures; each can answer, and taking all back gives the first answer."""
    fusion = real_application.fusion
    offer = {"material": "coal fly ash", "ewc": "10 01 02", "nace": "35.11"}
    before = answer(real_application, offer)
    learnt = {model.model_id: model for model in fusion.get_fusion_models()}["learned_weighted_sum"]
    assert set(learnt.weights) == {"matching", "knowledge_graph", "gnn", "federated"}
    assert sum(learnt.weights.values()) == pytest.approx(1.0)
    assert {"mrr", "log_loss", "recall@10", "questions", "default"} <= set(learnt.performance_metrics)
    assert before.model_versions["fusion_model"] == "default_weighted_sum 1"
    assert any("right receiver is in" in note or "Not sure" in note for note in before.notes)
    names = ("learned_weighted_sum", "stacking", "boosted_trees", "ensemble", "rrf", "adaptive")
    try:
        for name in names:
            assert fusion.set_active_model(name)
            found = answer(real_application, offer)
            assert found.model_versions["fusion_model"].startswith(name)
            for match in found.matches:
                assert 0 <= match.final_score <= 1
                assert sum(match.engine_contributions.values()) == pytest.approx(match.final_score, abs=1e-5)
    finally:
        for _ in fusion.switches():
            fusion.revert()
    after = answer(real_application, offer)
    assert [match.final_score for match in after.matches] == [match.final_score for match in before.matches]
    assert after.model_versions["fusion_model"] == "default_weighted_sum 1"


def answer(application, offer):
    return application.match(Offer(**offer), top=5)
