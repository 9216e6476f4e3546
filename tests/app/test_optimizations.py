"""Searches for better parameters over HTTP and on the command line, on a small market."""

import json
from pathlib import Path

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher, fill
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ism.app import wiring
from ism.app.cli.root import app
from ism.app.http.app import create_app
from ism.app.wiring import Application, open_application
from ism.settings import Settings

WANTED = {"model_name": "matching", "n_trials": 3}


@pytest.fixture
def filled(client: TestClient, application: Application) -> TestClient:
    fill(application.store)
    return client


def test_a_search_begins_is_shown_and_ends(filled: TestClient, application: Application) -> None:
    begun = filled.post("/api/optimizations", json=WANTED)
    assert begun.status_code == 202
    status = begun.json()
    assert (status["status"], status["requested_trials"], status["optimization_type"]) == ("running", 3, "bayesian")
    address = f"/api/optimizations/{status['optimization_id']}"
    assert filled.get(address).json()["trials"] == []
    assert [each["optimization_id"] for each in filled.get("/api/optimizations").json()["optimizations"]] == [
        status["optimization_id"]
    ]
    assert filled.delete(address).status_code == 200
    assert application.tuning.optimizer.wait(status["optimization_id"], 60)["status"] == "cancelled"
    again = filled.delete(address)
    assert (again.status_code, again.json()["type"]) == (409, "urn:ism:problem:conflict")


def test_a_search_that_is_tried_again_on_the_page_is_asked_with_all_it_was_asked_with(
    filled: TestClient, application: Application
) -> None:
    wanted = {
        **WANTED,
        "optimization_type": "random",
        "timeout": 123.0,
        "metric": "mrr",
        "constraints": {"max_training_time": 9.0},
        "search_space": {"rounds": {"low": 20, "high": 40}},
        "seed": 7,
    }
    first = filled.post("/api/optimizations", json=wanted).json()["optimization_id"]
    application.tuning.cancel(first)
    application.tuning.optimizer.wait(first, 60)
    assert filled.post(f"/act/searches/{first}", data={"decision": "retry"}).status_code == 303
    (again,) = {each["optimization_id"] for each in application.tuning.optimizer.list_optimizations()} - {first}
    application.tuning.cancel(again)
    asked = {name: application.tuning.optimizer.get_config(name).to_json() for name in (first, again)}
    assert asked[again] == asked[first]
    assert wanted.items() <= asked[again].items()
    assert filled.post("/act/searches/none", data={"decision": "retry"}).status_code == 404


def test_roles(filled: TestClient, application: Application) -> None:
    _, viewer = application.auth.create("looks", "viewer")
    filled.headers["X-API-Key"] = viewer
    assert filled.get("/api/optimizations").status_code == 200
    assert filled.post("/api/optimizations", json=WANTED).status_code == 403
    assert filled.delete("/api/optimizations/x").status_code == 403


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"model_name": "oracle"}, "model_name"),
        ({"n_trials": 0}, "n_trials"),
        ({"n_trials": "3"}, "n_trials"),
        ({"timeout": -1}, "timeout"),
        ({"optimization_type": "grid"}, "optimization_type"),
        ({"metric": "auc"}, "metric"),
        ({"direction": "minimize"}, "direction"),
        ({"constraints": {"max_cost": 1}}, "constraints.max_cost"),
        ({"search_space": {"depth": {"low": 1, "high": 2}}}, "search_space.depth"),
        ({"search_space": {}}, "search_space"),
        ({"trials": 3}, "trials"),
    ],
)
def test_bad_values_are_named(client: TestClient, application: Application, more: dict, field: str) -> None:
    refused = client.post("/api/optimizations", json={**WANTED, **more})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert application.tuning.optimizer.list_optimizations() == []


def test_what_is_not_there(client: TestClient) -> None:
    assert client.get("/api/optimizations").json() == {"optimizations": []}
    for method in ("GET", "DELETE"):
        missing = client.request(method, "/api/optimizations/nothing")
        assert (missing.status_code, missing.json()["type"]) == (404, "urn:ism:problem:not-found")


def test_switched_off(settings: Settings) -> None:
    off = settings.model_copy(update={"optimization_enabled": False})
    with open_application(off, make_matcher=FakeMatcher) as application:
        application.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(application)) as client:
            client.headers["X-API-Key"] = ADMIN_KEY
            refused = client.post("/api/optimizations", json=WANTED)
    assert refused.status_code == 409
    assert "--disable-optimization" in refused.json()["detail"]


@pytest.mark.slow
def test_an_application_that_opens_again_carries_on(settings: Settings) -> None:
    with open_application(settings, make_matcher=FakeMatcher) as first:
        fill(first.store)
        name = first.tuning.begin({"model_name": "matching", "n_trials": 1})["optimization_id"]
    with open_application(settings, make_matcher=FakeMatcher) as second:
        assert second.tuning.optimizer.wait(name, 600)["status"] == "completed"


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ISM_DEMO_MARKET", "false")
    monkeypatch.setattr(wiring, "_match_service", FakeMatcher)

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["optimize", *arguments], env={"COLUMNS": "140"})
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    with open_application(Settings(), make_matcher=FakeMatcher) as application:
        fill(application.store)
    assert "no search yet" in run("list")
    found = json.loads(run("matching", "--trials", "1", "--type", "random", "--json"))
    assert (found["status"], found["n_trials"], found["optimization_type"]) == ("completed", 1, "random")
    assert 0 < found["best_score"] <= 1
    name = found["optimization_id"]
    listed = json.loads(run("list", "--json"))["optimizations"]
    assert [each["optimization_id"] for each in listed] == [name]
    shown = run("status", name)
    assert "completed" in shown
    assert "learning_rate" in shown
    assert "ended already" in run("cancel", name, code=1)
    assert "no optimization 'none'" in run("status", "none", code=1)
    assert "model_name: 'oracle'" in run("oracle", code=1)
    assert "--trials" in run("matching", "--trials", "many", code=2)
