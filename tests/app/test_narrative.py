"""A narrative beside the reasons, by a language model that a local server stands in for."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app import narrative
from ism.app.http.app import create_app
from ism.app.wiring import open_application
from ism.settings import Settings

KEY = "a-deepseek-key-that-nobody-may-see"
ASH = {"offer": {"material": "coal fly ash", "ewc": "10 01 02"}}


class Model:
    """Stands in for an OpenAI-compatible server."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict]] = []
        self.status, self.wait_s, self.body = 200, 0.0, b""
        self.say("It fits.")
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
                model.asked.append((self.path, self.headers["authorization"], sent))
                self.send_response(model.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                size = 16 if model.wait_s else len(model.body)
                for start in range(0, len(model.body), size):
                    self.wfile.write(model.body[start : start + size])
                    self.wfile.flush()
                    time.sleep(model.wait_s)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def say(self, text: object) -> None:
        self.body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def client(settings: Settings, model: Model) -> Iterator[TestClient]:
    given = Settings(DEEPSEEK_API_KEY=KEY, narrative_url=model.url, narrative_timeout_s=2).model_dump()
    kept = {name: given[name] for name in ("deepseek_api_key", "narrative_url", "narrative_timeout_s")}
    with open_application(settings.model_copy(update=kept), make_matcher=FakeMatcher) as opened:
        opened.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(opened), headers={"X-API-Key": ADMIN_KEY}) as made:
            yield made


def generated(answer: dict) -> list[list[dict]]:
    return [[each for each in match["reasons"] if each["kind"] == "generated"] for match in answer["matches"]]


def test_it_is_off_by_default(anyone: TestClient) -> None:
    answer = anyone.post("/api/matches", json=ASH, headers={"X-API-Key": ADMIN_KEY}).json()
    assert generated(answer) == [[], []]
    assert not any("language model" in note for note in answer["notes"])


def test_the_first_match_gets_a_text_that_says_where_it_is_from(client: TestClient, model: Model) -> None:
    model.say("  Fly ash\nreplaces clinker.\u202e <script>x</script> ")
    answer = client.post("/api/matches", json=ASH).json()
    found = generated(answer)
    assert [len(each) for each in found] == [1, 0]
    assert found[0][0]["text"] == "Fly ash replaces clinker. <script>x</script>"
    assert found[0][0]["source"] == "Written by the language model deepseek-chat; not checked."
    [(path, authorization, sent)] = model.asked
    assert path == "/chat/completions"
    assert authorization == f"Bearer {KEY}"
    facts = json.loads(sent["messages"][1]["content"])
    assert facts["material"] == "coal fly ash"
    assert facts["receiver"] == "Aalborg Portland"
    assert len(facts["reasons"]) == 2


def test_the_page_shows_it_as_text(client: TestClient, model: Model) -> None:
    model.say("Because <script>x</script>")
    page = client.post("/matches", data={"material": "ash"}).text
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "<script>x" not in page
    assert "generated" in page
    assert "not checked" in page


def test_whoever_declines_it_asks_nobody(client: TestClient, model: Model) -> None:
    answer = client.post("/api/matches", json={**ASH, "narrative": False}).json()
    assert generated(answer) == [[], []]
    assert model.asked == []


@pytest.mark.parametrize("trouble", ["500", "302", "401", "slow", "long", "no JSON", "no text", "no choice", "deep"])
def test_trouble_costs_the_narrative_and_nothing_else(
    client: TestClient, model: Model, trouble: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    if trouble != "slow":
        monkeypatch.setattr(narrative.time, "monotonic", lambda: now[0])
    if trouble.isdigit():
        model.status = int(trouble)
    bodies = {"long": b" " * 300_000, "no JSON": b"<html>", "no choice": b'{"choices": []}', "deep": b"[" * 100_000}
    model.body = bodies.get(trouble, model.body)
    if trouble == "no text":
        model.say(["x"])
    model.wait_s = 0.7 if trouble == "slow" else 0.0
    with caplog.at_level(logging.DEBUG):
        answer = client.post("/api/matches", json=ASH)
    assert answer.status_code == 200
    assert generated(answer.json()) == [[], []]
    assert "The language model gave no narrative." in answer.json()["notes"]
    assert KEY not in caplog.text
    assert len(model.asked) == 1
    client.post("/api/matches", json=ASH)
    assert len(model.asked) == 1  # an outage does not slow every answer
    if trouble != "slow":
        now[0] += narrative.PAUSE_S + 1
        model.status, model.wait_s = 200, 0.0
        model.say("Again.")
        assert generated(client.post("/api/matches", json=ASH).json())[0][0]["text"] == "Again."
