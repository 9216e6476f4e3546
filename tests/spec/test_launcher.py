"""``python backend/start_production_ai_system.py`` with every option that the specification prints."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from launching import BACKEND, launched
from typer.testing import CliRunner

from ism.app.cli.root import app

FAILING = Path(__file__).parents[1] / "orchestrator" / "failing_launcher.py"
SWITCHES = {
    "--disable-feedback": "feedback_enabled",
    "--disable-fusion": "fusion_enabled",
    "--disable-optimization": "optimization_enabled",
    "--disable-retraining": "retraining_enabled",
    "--disable-monitoring": "monitoring_enabled",
    "--disable-auto-deploy": "retraining_auto_deploy",
}
VALUES = {
    "--health-check-interval=60": ("health_check_interval_s", 60),
    "--backup-interval=3600": ("backup_interval_s", 3600),
    "--log-level=INFO": ("log_level", "INFO"),
    "--host=127.0.0.1": ("host", "127.0.0.1"),
    "--port=5002": ("port", 5002),
    "--data-dir=x": ("data_dir", Path("x")),
}


def given(*options: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the server is started with."""
    from ism.app.cli import serve

    got: list[dict[str, object]] = []
    monkeypatch.setattr(serve, "serve", got.append)
    done = CliRunner().invoke(app, ["serve", *options])
    assert done.exit_code == 0, done.output
    return {name: value for name, value in got[0].items() if value is not None}


@pytest.mark.parametrize("option", SWITCHES)
def test_each_switch_switches_one_thing(option: str, monkeypatch: pytest.MonkeyPatch):
    assert given(option, monkeypatch=monkeypatch) == {SWITCHES[option]: False}


@pytest.mark.parametrize("option", VALUES)
def test_each_value_is_taken(option: str, monkeypatch: pytest.MonkeyPatch):
    name, value = VALUES[option]
    assert given(option, monkeypatch=monkeypatch) == {name: value}


def test_the_combinations_that_are_printed(monkeypatch: pytest.MonkeyPatch):
    assert given("--disable-optimization", "--disable-monitoring", monkeypatch=monkeypatch) == {
        "optimization_enabled": False,
        "monitoring_enabled": False,
    }
    assert given("--health-check-interval", "30", "--backup-interval", "1800", monkeypatch=monkeypatch) == {
        "health_check_interval_s": 30,
        "backup_interval_s": 1800,
    }
    assert given("--log-level", "DEBUG", monkeypatch=monkeypatch) == {"log_level": "DEBUG"}


@pytest.mark.parametrize("option", ["--health-check-interval=0", "--backup-interval=soon", "--log-level=LOUD", "--x"])
def test_an_option_that_cannot_be_used_is_named(option: str):
    done = CliRunner().invoke(app, ["serve", option])
    assert done.exit_code == 2
    assert option.partition("=")[0] in done.stderr


def test_it_is_ism_serve():
    script = [sys.executable, str(BACKEND / "start_production_ai_system.py"), "--help"]
    wide = {**os.environ, "COLUMNS": "140"}
    said = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60, env=wide).stdout
    for option in (*SWITCHES, *(each.partition("=")[0] for each in VALUES)):
        assert option in said


def test_it_recovers_drains_and_ends_in_time(tmp_path: Path):
    """A part dies and is started again; a request under way at SIGTERM is answered; nothing secret is logged."""
    with launched(tmp_path / "data", "--health-check-interval", "1", "--disable-fusion", script=FAILING) as it:
        it.ready()
        assert it.component("monitoring")["restarts"] == 0
        (tmp_path / "die").touch()
        it.wait(lambda it: it.component("monitoring")["restarts"] == 1 and it.component("monitoring")["state"] == "ok")
        assert it.component("feedback")["restarts"] == 0
        assert it.client.get("/readyz").json()["mode"] == "normal"
        answers = []
        begun = threading.Event()

        def slowly():
            body = json.dumps({"type": "error", "event_id": "late", "data": {"component": "x", "message": "m"}})
            yield body[:20].encode()
            begun.set()
            time.sleep(0.7)
            yield body[20:].encode()

        def send():
            headers = {"content-type": "application/json"}
            answers.append(it.client.post("/api/feedback", content=slowly(), headers=headers))

        sender = threading.Thread(target=send)
        sender.start()
        assert begun.wait(10)
        time.sleep(0.2)  # until the server has begun to read it
        code, took = it.stop()
        sender.join(10)
    assert (code, answers[0].status_code) == (0, 201)
    assert took < 10
    log = tmp_path / "data" / "production_ai_system.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"at", "level", "logger", "message", "process"} <= set(line) for line in lines)
    (failed,) = [line for line in lines if line.get("component") == "monitoring"]
    assert (failed["level"], failed["failures"]) == ("WARNING", 1)
    assert any("retraining" in line["message"] for line in lines)
    said = (tmp_path / "said.txt").read_text()
    token = said.partition("sign-in?token=")[2].split()[0]
    assert token
    assert token not in log.read_text()
    assert "Traceback" not in said


def test_parts_that_are_disabled_are_named_and_matching_goes_on(tmp_path: Path):
    off = [option for option in SWITCHES if option != "--disable-auto-deploy"]
    with launched(tmp_path / "data", *off) as it:
        it.ready()
        told = it.client.get("/readyz").json()["components"]
        assert {name for name, each in told.items() if each["state"] == "disabled"} == {
            "feedback", "fusion", "optimization", "retraining", "monitoring",
            "engine:gnn", "engine:federated", "engine:knowledge_graph",
        }  # fmt: skip
        answer = it.client.post("/api/matches", json={"offer": {"material": "coal fly ash"}}).json()
        assert set(answer["matches"][0]["engine_contributions"]) == {"matching"}
        event = {"type": "user_feedback", "data": {"model_name": "gnn", "rating": 4}}
        assert it.client.post("/api/feedback", json=event).status_code == 409
        on = it.client.patch("/api/config", json={"feedback_enabled": True, "reason": "needed"})
        assert on.json()["config"]["feedback_enabled"] is True
        it.wait(lambda it: it.component("feedback")["state"] == "ok")
        assert it.client.post("/api/feedback", json=event).status_code == 201
        refused = it.client.patch("/api/config", json={"health_check_interval": "often"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "health_check_interval")
        undone = it.client.post("/api/config/undo").json()
        assert undone["config"]["feedback_enabled"] is False
        assert [each["action"] for each in undone["history"]] == ["undo", "update"]
        assert undone["history"][1]["changes"] == {"feedback_enabled": [False, True]}
        assert it.stop()[0] == 0


def test_what_hangs_is_cut_off():
    program = (
        "import threading, time\nfrom ism.app.cli import serve\nserve._END_S = 0.2\nserve._end_in_time()\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "did not end" in done.stderr
