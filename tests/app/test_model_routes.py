"""Retraining jobs and models over HTTP and on the command line, on a real store with a fake matcher."""

import json
import time

import pytest
from typer.testing import CliRunner

from ism.app.cli.root import app as cli
from ism.retraining.registry import Lineage


@pytest.fixture
def registry(application):
    return application.retraining._registry


@pytest.fixture
def make_version(registry, tmp_path):
    def make(number, gate="PASS"):
        folder = tmp_path / f"trained-{number}"
        folder.mkdir()
        (folder / "engine.json").write_text(f'{{"model": {number}}}')
        lineage = Lineage("c" * 64, "0.1.0", {"n": number}, 0, gate=gate, metrics={"ndcg@10": 0.5})
        return registry.register("matching", folder, lineage)

    return make


def test_a_job_is_asked_for_shown_and_ends_with_its_reason(client):
    made = client.post("/api/retraining-jobs", json={"model_name": "matching", "config": {"retraining_type": "full"}})
    assert made.status_code == 202
    job_id = made.json()["job_id"]
    assert made.json()["trigger_type"] == "manual"
    for _ in range(1200):  # a minute at most
        found = client.get(f"/api/retraining-jobs/{job_id}").json()
        if found["status"] == "failed":
            break
        time.sleep(0.05)
    assert "no exchange to learn from" in found["error_message"]  # the market of this test is empty
    assert [move["to"] for move in found["moves"]] == ["REQUESTED", "SNAPSHOTTED", "FAILED"]
    assert [job["job_id"] for job in client.get("/api/retraining-jobs").json()["jobs"]] == [job_id]
    assert client.get("/api/retraining-jobs?model_name=gnn").json() == {"jobs": []}
    assert client.post(f"/api/retraining-jobs/{job_id}/cancel").status_code == 409


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"model_name": "matching", "trigger_type": "mood"}, "trigger_type"),
        ({"model_name": "matching", "config": {"retraining_type": "half"}}, "config.retraining_type"),
        ({"model_name": "matching", "config": {"n_trials": 0}}, "config.n_trials"),
        ({"model_name": "matching", "config": {"trials": 3}}, "config.trials"),
        ({"model_name": "matching", "config": {"timeout": -3}}, "config.timeout"),
        ({}, "model_name"),
    ],
)
def test_what_cannot_be_asked_for_is_named(client, body, named):
    refused = client.post("/api/retraining-jobs", json=body)
    assert refused.status_code == 422
    assert named in [error["field"] for error in refused.json()["errors"]]


def test_what_is_unknown_is_not_found(client):
    assert client.post("/api/retraining-jobs", json={"model_name": "nobody"}).status_code == 404
    for path in ("/api/retraining-jobs/x", "/api/models/nobody/versions", "/api/models/matching/versions/7"):
        assert client.get(path).status_code == 404
    assert client.post("/api/retraining-jobs/x/cancel").status_code == 404


def test_promote_and_roll_back(client, make_version, tmp_path, application):
    one, _, _ = make_version(1), make_version(2), make_version(3, "HOLD")
    models = {model["model_name"]: model for model in client.get("/api/models").json()["models"]}
    assert (models["matching"]["versions"], models["matching"]["champion"]) == (3, None)
    promote = "/api/models/matching/promote"
    assert client.post(promote, json={"version": "1", "reason": "first"}).json()["champion"] == 1
    stale = client.post(promote, json={"version": "2", "reason": "late", "generation": 0})
    assert stale.status_code == 409
    assert client.post(promote, json={"version": "2", "reason": "better", "generation": 1}).json()["champion"] == 2
    held = client.post(promote, json={"version": "3", "reason": "please"})
    assert (held.status_code, "HOLD" in held.json()["detail"]) == (409, True)
    roles = {v["number"]: v["role"] for v in client.get("/api/models/matching/versions").json()["versions"]}
    assert roles == {1: "previous", 2: "champion", 3: ""}
    found = client.get("/api/models/matching/diff?one=1&other=2").json()["differences"]
    assert found["params.n"] == {"from": 1, "to": 2}
    digest = one.files["engine.json"]
    file = application.settings.data_dir / "models" / "files" / digest[:2] / digest
    whole = file.read_text()
    file.write_text("{}")
    import shutil

    shutil.rmtree(application.settings.data_dir / "models" / "versions")
    corrupt = client.post("/api/models/matching/rollback", json={"reason": "complaints"})
    assert (corrupt.status_code, digest in corrupt.json()["detail"]) == (409, True)
    file.write_text(whole)
    back = client.post("/api/models/matching/rollback", json={"reason": "complaints"})
    assert (back.json()["champion"], back.json()["previous"]) == (1, 2)
    shown = client.get("/api/models/matching/versions/1").json()
    assert [entry["action"] for entry in shown["ledger"]] == ["promote", "promote", "rollback"]
    assert client.post("/api/models/matching/rollback", json={}).status_code == 422


def test_only_administrators_change_what_serves(application, anyone, make_version):
    make_version(1)
    for role, job, promotion in (("viewer", 403, 403), ("operator", 202, 403), ("admin", 202, 200)):
        _, key = application.auth.create(role, role)
        headers = {"X-API-Key": key}
        asked = anyone.post("/api/retraining-jobs", json={"model_name": "matching"}, headers=headers)
        assert asked.status_code == job
        moved = anyone.post("/api/models/matching/promote", json={"version": "1", "reason": "x"}, headers=headers)
        assert moved.status_code == promotion
        assert anyone.get("/api/models", headers=headers).status_code == 200
    assert anyone.get("/api/models").status_code == 401


def test_commands_do_the_same_on_the_folder(application, make_version):
    make_version(1), make_version(2)
    folder = str(application.settings.data_dir)
    application.close()

    def ism(*arguments, code=0):
        result = CliRunner().invoke(cli, [*arguments, "--data-dir", folder])
        assert result.exit_code == code, result.output
        return result

    ism("models", "promote", "matching", "1", "--reason", "first")
    ism("models", "promote", "matching", "2")
    assert "Version 1 of matching serves now" in ism("models", "rollback", "matching").stdout
    versions = json.loads(ism("models", "list", "matching", "--json").stdout)["versions"]
    assert [version["role"] for version in versions] == ["previous", "champion"]
    assert "matching" in ism("models", "list").stdout
    assert "params.n" in ism("models", "diff", "matching", "1", "2").stdout
    assert "rollback by command line" in ism("models", "show", "matching", "1").stdout
    assert "no version" in ism("models", "show", "matching", "9", code=1).stderr.lower()
    failed = ism("retrain", "matching", code=1)
    assert "no exchange to learn from" in failed.stderr
    assert "SNAPSHOTTED" in failed.stderr


def test_what_a_search_found_begins_one_job(application, monkeypatch):
    application.warm_up()
    asked = []
    monkeypatch.setattr(application.tuning.optimizer, "better", lambda gain: asked.append(gain) or [("o1", "matching")])
    application.retrain_with_found()
    application.retrain_with_found()
    [job] = application.retraining.pipeline.jobs()
    assert (job.job_id, job.trigger_type) == ("search-o1", "performance")
    assert job.config == {"retraining_type": "optimization", "optimization_id": "o1"}
    application.settings.tuning_retrains = False
    application.retrain_with_found()
    assert asked == [0.005, 0.005]


def test_what_feedback_asks_for_becomes_one_job_and_is_worked_off(application):
    loop = application.feedback.loop
    application.warm_up()
    loop.triggering.ask("matching", "It is time.", "me")
    assert loop.turn().delivered == 1
    asked = loop.triggering.requests()[0]
    for _ in range(1200):  # a minute at most
        job = application.retraining.pipeline.job(asked.request_id)
        if job.status == "failed" and loop.triggering.requests()[0].state == "finished":
            break
        time.sleep(0.05)
    assert "no exchange to learn from" in job.error_message  # the market of this test is empty
    assert loop.triggering.requests()[0].state == "finished"
    assert loop.turn().delivered == 0
