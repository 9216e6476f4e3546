"""``ism feedback quarantine``, ``trust``, ``trigger`` and ``judge``, on the folder and through a server."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ism.app.cli.judging_backend import FolderJudging, JudgingBackend, ServerJudging
from ism.app.cli.root import app
from ism.app.wiring import Application
from ism.domain.market import Recommendation
from ism.settings import Settings
from ism.storage import Store, open_store


def show(store: Store) -> None:
    store.log_recommendations(
        [
            Recommendation(f"r{rank}", "q", rank, "company", f"k{rank}", 0.5, 0.5, 1.0, offer={"material": "ash"})
            for rank in range(1, 41)
        ]
    )


def events(count: int) -> list[dict[str, object]]:
    said = {"outcome": "rejected", "actor_id": "eve"}
    return [
        {"type": "match_outcome", "event_id": f"e{n:02}", "data": {**said, "recommendation_id": f"r{n + 1}"}}
        for n in range(count)
    ]


def run(*arguments: str, code: int = 0, sent: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["feedback", *arguments], input=sent)
    assert result.exit_code == code, result.output
    return result


def test_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))
    assert "Nothing is in quarantine" in run("quarantine", "list").stdout
    assert "Nobody has said anything" in run("trust", "list").stdout
    assert "No trigger has spoken" in run("trigger", "list").stdout
    with open_store(Settings(_env_file=None)) as store:
        show(store)
    run("add", sent=json.dumps(events(31)))
    assert "Events judged: 31. Labels written: 31. Put into quarantine: 1." in run("judge").stdout
    assert "eve made 31" in run("quarantine", "list").stdout.replace("\n", " ")
    held = json.loads(run("quarantine", "list", "--state", "held", "--json").stdout)["items"]
    assert [item["event_id"] for item in held] == ["e30"]
    run("quarantine", "release", "e30", code=2)  # without a reason
    assert "e30 is released." in run("quarantine", "release", "e30", "--reason", "genuine").stdout
    assert "e30 is confirmed." in run("quarantine", "confirm", "e30", "--reason", "after all").stdout
    assert "no quarantined event" in run("quarantine", "release", "x", "--reason", "y", code=1).stderr
    assert "by hand" in run("trust", "set", "eve", "--value", "0.1", "--reason", "too eager").stdout
    assert "too eager" in run("trust", "list").stdout
    assert "as estimated" in run("trust", "set", "eve", "--reason", "calmed down").stdout
    assert "0 (not believed) to 1" in run("trust", "set", "eve", "--value", "7", "--reason", "x", code=1).stderr
    assert "fired" in run("trigger", "ask", "matching", "--reason", "new codes").stdout
    assert "new codes" in run("trigger", "list", "--model", "matching").stdout
    assert "model_name" in run("trigger", "ask", "oracle", "--reason", "x", code=1).stderr


def test_server_and_folder_give_the_same(application: Application, client: TestClient) -> None:
    def ask(method: str, path: str, **more: object) -> dict[str, object]:
        response = client.request(method, path, **more)
        assert response.is_success, response.text
        return response.json()

    show(application.store)
    client.post("/api/feedback/batch", json={"events": events(32)})
    both: list[JudgingBackend] = [ServerJudging(ask), FolderJudging(application)]
    assert both[0].turn()["held"] == 2
    assert both[1].turn()["events"] == 0
    both[0].ask("matching", "new codes")
    assert both[1].ask("matching", "again")["decision"] == "coalesced"
    for entry, backend in zip(("e30", "e31"), both, strict=True):
        assert backend.decide(entry, "release", "genuine")["state"] == "released"
        assert backend.set_trust("eve", 0.5, "known")["override_trust"] == 0.5
    for question in (
        lambda backend: backend.quarantine(None, None, 10),
        lambda backend: backend.quarantine("released", "e30", 10),
        lambda backend: backend.actors(),
        lambda backend: backend.triggers(None, 10),
        lambda backend: backend.triggers("fusion", 10),
    ):
        assert question(both[0]) == question(both[1])
