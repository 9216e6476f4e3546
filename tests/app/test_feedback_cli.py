"""``ism feedback``, on the folder and through a server."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ism.app.cli.feedback import read_events
from ism.app.cli.feedback_backend import FeedbackBackend, FolderFeedback, ServerFeedback
from ism.app.cli.root import app
from ism.app.wiring import Application

RATING = {"type": "user_feedback", "event_id": "e1", "data": {"model_name": "matching", "rating": 4}}
BAD = {"type": "user_feedback", "data": {"model_name": "matching", "rating": "banana"}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))


def run(*arguments: str, code: int = 0, sent: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["feedback", *arguments], input=sent)
    assert result.exit_code == code, result.output
    return result


def test_feedback_is_added_listed_exported_and_added_again(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(RATING) + "\n\n" + json.dumps({**RATING, "event_id": "e2"}) + "\n")
    assert "Stored 2, already there 0, not used 0." in run("add", str(file)).stdout
    assert "Stored 0, already there 2" in run("add", str(file)).stdout
    assert "matching" in run("list").stdout
    assert json.loads(run("list", "--after", "1", "--json").stdout)["items"][0]["event"]["event_id"] == "e2"
    out = tmp_path / "out.jsonl"
    assert "Wrote 2 events" in run("export", "-o", str(out)).stderr
    assert [json.loads(line)["event_id"] for line in out.read_text().splitlines()] == ["e1", "e2"]
    assert run("export").stdout == out.read_text()
    elsewhere = ["--data-dir", str(tmp_path / "elsewhere")]
    assert "Stored 2" in run("add", str(out), *elsewhere).stdout
    assert run("export", *elsewhere).stdout.count('"rating": 4') == 2


def test_what_cannot_be_used_is_listed_corrected_and_replayed(tmp_path: Path) -> None:
    refused = run("add", "--json", sent=json.dumps([BAD, RATING]), code=1)
    bad, good = json.loads(refused.stdout)["results"]
    assert (bad["status"], good["status"]) == ("rejected", "stored")
    assert "'banana'" in run("add", sent=json.dumps(BAD), code=1).stderr
    assert "banana" in run("dead-letter", "list").stdout
    letter = json.loads(run("dead-letter", "list", "--state", "open", "--json").stdout)["items"][0]
    assert (letter["letter_id"], letter["attempts"]) == (bad["letter_id"], 2)
    assert "banana" in run("dead-letter", "replay", letter["letter_id"], code=1).stderr
    fixed = tmp_path / "fixed.json"
    fixed.write_text(json.dumps({**BAD, "data": {"model_name": "matching", "rating": 2}}))
    assert "Stored as" in run("dead-letter", "replay", letter["letter_id"], "--file", str(fixed)).stdout
    assert "replayed" in run("dead-letter", "replay", letter["letter_id"], code=1).stderr
    assert "2 events" in run("status").stdout
    run("add", sent='{"type": "gossip"}', code=1)
    other = json.loads(run("dead-letter", "list", "--state", "open", "--json").stdout)["items"][0]["letter_id"]
    assert json.loads(run("dead-letter", "discard", other, "--json").stdout)["state"] == "discarded"
    assert json.loads(run("status", "--json").stdout)["dead_letters"] == {"replayed": 1, "discarded": 1}


def test_nothing_is_there_at_first() -> None:
    assert "no feedback" in run("list").stdout
    assert "no dead letter" in run("dead-letter", "list").stdout
    assert "0 events" in run("status").stdout


@pytest.mark.parametrize(("text", "count"), [("", 0), ("[]", 0), ("{}", 1), ("[1, 2]", 2), ("1\n2\n\n3", 3)])
def test_events_are_read_in_every_form(text: str, count: int) -> None:
    assert len(read_events(text)) == count


def test_what_is_no_json_is_refused_by_line() -> None:
    assert "line 2" in run("add", sent='{"type": 1}\n{broken\n', code=1).stderr
    assert "nowhere" in run("add", "nowhere.json", code=1).stderr


def test_a_server_answers_as_the_folder_does(client: TestClient, application: Application) -> None:
    def ask(method: str, path: str, **more: object) -> dict[str, object]:
        answer = client.request(method, path, **more)  # type: ignore[arg-type]  # as httpx takes it
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    both: list[FeedbackBackend] = [ServerFeedback(ask), FolderFeedback(application)]
    told = [backend.tell([BAD, {**RATING, "event_id": f"e{n}"}, RATING], "k") for n, backend in enumerate(both, 1)]
    assert [[result["status"] for result in results] for results in told] == [
        ["rejected", "stored", "duplicate"],
        ["rejected", "stored", "duplicate"],
    ]
    server, here = both
    assert server.events(0, 10) == here.events(0, 10)
    assert server.letters(None, None, 10) == here.letters(None, None, 10)
    letter = server.letters("open", None, 1)[0]["letter_id"]
    assert server.replay(letter, RATING | {"event_id": "e9"})["state"] == "replayed"
    assert server.status()["feedback"] == here.status()["feedback"]
    for backend in both:
        backend.tell([{"type": "gossip", "event_id": str(id(backend))}], None)
        assert backend.discard(backend.letters("open", None, 1)[0]["letter_id"])["state"] == "discarded"
