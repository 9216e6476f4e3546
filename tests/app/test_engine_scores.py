"""One engine alone, and the key that opens it."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.wiring import Application, open_application
from ism.data.build import build_market
from ism.domain.market import Company
from ism.fusion.fit import FittedFusion
from ism.settings import Settings

KEY = {"X-API-Key": "a-key-for-the-engines"}
ASH = {"offer": {"material": "coal fly ash"}}


def score(market, offers, rows):
    """A fifth more for each receiver: later ones score higher."""
    assert len(offers) == 1
    return (np.asarray(rows, np.float32)[None, :] + 1) / 5


class OneEngine(FakeMatcher):
    """Serves a market of three receivers with one engine; another one is not trained yet."""

    def __init__(self, store, encoder, *more, **others):
        super().__init__(store, encoder, *more, **others)
        firms = [Company("works", "Cement works"), Company("farm", "Farm")]
        built = build_market(firms, [], [], encoder, classes=["23.51"])
        fusion = FittedFusion({"matching": SimpleNamespace(score=score)})
        self.serving = lambda: (built, fusion)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    given = settings.model_copy(update={"gnn_api_key": Settings(GNN_API_KEY=KEY["X-API-Key"]).gnn_api_key})
    with open_application(given, make_matcher=OneEngine) as opened:
        opened.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(opened)) as made:
            yield made


def test_receivers_come_by_the_engines_score(client: TestClient) -> None:
    answer = client.post("/api/engines/matching/score", headers=KEY, json=ASH).json()
    assert answer["engine"] == "matching"
    assert [(each["receiver_id"], each["kind"]) for each in answer["scores"]] == [
        ("nace:23.51", "sector"), ("farm", "company"), ("works", "company"),
    ]  # fmt: skip
    assert [each["score"] for each in answer["scores"]] == pytest.approx([0.6, 0.4, 0.2])
    top = client.post("/api/engines/matching/score", headers=KEY, json={**ASH, "top": 1}).json()["scores"]
    assert [each["receiver_id"] for each in top] == ["nace:23.51"]
    some = {**ASH, "receivers": ["works", "farm", "works"]}
    chosen = client.post("/api/engines/matching/score", headers=KEY, json=some).json()["scores"]
    assert [each["receiver_id"] for each in chosen] == ["farm", "works"]
    nobody = client.post("/api/engines/matching/score", headers=KEY, json={**ASH, "receivers": []})
    assert nobody.json()["scores"] == []


@pytest.mark.parametrize(
    ("engine", "body", "status", "words"),
    [
        ("none", ASH, 404, "engine 'none'"),
        ("gnn", ASH, 503, "absent"),
        ("matching", {**ASH, "receivers": ["works", "nobody"]}, 422, "nobody"),
        ("matching", {}, 422, "body"),
        ("matching", {**ASH, "offer_id": "x"}, 422, "body"),
        ("matching", {"offer_id": "x"}, 404, "listing 'x'"),
        ("matching", {**ASH, "top": 0}, 422, "top"),
        ("matching", {**ASH, "more": 1}, 422, "more"),
    ],
)
def test_what_cannot_be_answered_is_named(client: TestClient, engine: str, body: dict, status: int, words: str) -> None:
    answer = client.post(f"/api/engines/{engine}/score", headers=KEY, json=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_only_the_right_key_opens_it(client: TestClient) -> None:
    path = "/api/engines/matching/score"
    assert client.post(path, json=ASH).status_code == 401
    assert client.post(path, json=ASH, headers={"X-API-Key": "another"}).status_code == 401
    assert client.post(path, json=ASH, headers={"X-API-Key": ADMIN_KEY}).status_code == 200
    assert client.post("/api/matches", json=ASH, headers=KEY).status_code == 401
    assert client.get("/api/engines", headers=KEY).status_code == 401


def test_a_short_key_cannot_be_guessed_by_trying(application: Application) -> None:
    auth = application.auth
    auth.revoke("environment-1")  # trying a guess at it takes long, and tries come back meanwhile
    auth.__init__(application.store, "1234")  # type: ignore[misc]  # as with GNN_API_KEY
    assert auth.check_engine_key("1234", "a") is not None
    for _ in range(10):
        assert auth.check_key("guess", "a") is None
    assert auth.check_engine_key("1234", "a") is None
    assert auth.check_engine_key("1234", "b") is not None


def test_an_empty_variable_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNN_API_KEY", "")
    monkeypatch.setenv("SUPABASE_URL", "")
    assert Settings(_env_file=None).gnn_api_key is None
    assert Settings(_env_file=None).supabase_url is None
