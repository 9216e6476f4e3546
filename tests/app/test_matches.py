"""The main job over HTTP."""

from pathlib import Path

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.wiring import Application, open_application
from ism.domain.errors import EngineError
from ism.domain.market import Company, Listing
from ism.settings import Settings

OFFER = {
    "material": "coal fly ash",
    "description": "dry",
    "ewc": "10.01.02",
    "quantity_t_per_year": 50_000,
    "price_eur_per_t": -5,
    "hazardous": False,
    "nace": "D35.11",
    "country": "dk",
    "latitude": 55.66,
    "longitude": 11.08,
    "valid_from": "2026-01-01",
    "valid_until": "2026-12-31",
}


def test_an_offer_is_answered_in_the_documented_shape(client: TestClient, application: Application) -> None:
    response = client.post("/api/matches", json={"offer": OFFER, "top": 2, "filters": {"kind": "company"}})
    assert response.status_code == 200
    answer = response.json()
    assert {"request_id", "matches", "missing_engines", "model_versions"} <= set(answer)
    first = answer["matches"][0]
    assert {
        "recommendation_id", "rank", "receiver", "final_score", "confidence", "engine_contributions", "reasons",
        "distance_km", "estimate", "hazard",
    } <= set(first)  # fmt: skip
    assert {"kind", "id", "name", "nace"} <= set(first["receiver"])
    assert {"text", "kind", "source"} <= set(first["reasons"][0])
    assert first["estimate"]["cost_eur_per_t"] == {"low": -30.0, "central": -12.5, "high": 4.0}
    assert first["estimate"]["factors"][0]["source"]
    matcher = application.matcher
    assert isinstance(matcher, FakeMatcher)
    offer, top, filters = matcher.asked[-1]
    assert (offer.ewc, offer.nace, offer.country, offer.quantity_t_per_year) == ("10 01 02", "35.11", "DK", 50_000)
    assert str(offer.valid_until) == "2026-12-31"
    assert top == 2
    assert filters is not None
    assert filters.kind == "company"


def test_a_listed_offer_brings_its_company_along(client: TestClient, application: Application) -> None:
    application.store.create(Company("p", "Power", "35.11", "DK", 55.0, 11.0))
    application.store.create(Listing("o", "p", "offer", "ash", ewc="10 01 02"))
    application.store.create(Listing("n", "p", "need", "lime"))
    offer = client.post("/api/matches", json={"offer_id": "o"}).json()["offer"]
    assert (offer["material"], offer["nace"], offer["latitude"], offer["company_id"]) == ("ash", "35.11", 55.0, "p")
    assert client.post("/api/matches", json={"offer_id": "n"}).status_code == 422
    assert client.post("/api/matches", json={"offer_id": "x"}).status_code == 404


def test_a_pair_is_answered(client: TestClient, application: Application) -> None:
    seller = {"name": "Power", "nace": "35.11", "country": "DK", "listings": [{"material": "ash", "ewc": "100102"}]}
    buyer = {"name": "Cement", "nace": "23.51", "listings": [{"material": "pozzolan"}]}
    answer = client.post("/api/matches", json={"seller": seller, "buyer": buyer}).json()
    assert answer["matches"][0]["receiver"]["name"] == "Cement"
    assert answer["offer"]["nace"] == "35.11"
    assert answer["notes"] == ["pozzolan"]
    seller["listings"] = []
    refused = client.post("/api/matches", json={"seller": seller, "buyer": buyer})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "seller.listings"


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"offer": OFFER, "offer_id": "o"},
        {"seller": {"name": "a"}},
        {"offer": OFFER, "seller": {"name": "a"}, "buyer": {"name": "b"}},
        {"offer": OFFER, "top": 0},
        {"offer": OFFER, "top": 101},
        {"offer": OFFER, "top": "20"},
        {"offer": OFFER, "filters": {"max_distance_km": 0}},
        {"offer": OFFER, "filters": {"countries": []}},
        {"offer": OFFER, "filters": {"kind": "planet"}},
    ],
)
def test_questions_that_cannot_be_answered(client: TestClient, question: dict) -> None:
    assert client.post("/api/matches", json=question).status_code == 422


def test_engines_are_listed(client: TestClient) -> None:
    engines = client.get("/api/engines").json()["engines"]
    assert [engine["name"] for engine in engines] == ["matching", "gnn"]


def test_readiness_tells_what_is_missing(settings: Settings) -> None:
    class Broken(FakeMatcher):
        def refresh(self) -> None:
            raise EngineError("The model is damaged.")

    with open_application(settings, Broken, warm=False) as application:
        application.auth.ensure_admin(ADMIN_KEY)
        client = TestClient(create_app(application), headers={"X-API-Key": ADMIN_KEY})  # no lifespan: stays cold
        cold = client.get("/readyz")
        assert cold.status_code == 503
        assert cold.json()["status"] == "starting"
        assert client.get("/healthz").status_code == 200
        starting = client.post("/api/matches", json={"offer": OFFER})
        assert starting.status_code == 503
        assert "retry-after" in starting.headers
        application.try_warm_up()
        broken = client.get("/readyz")
        assert broken.json()["status"] == "down"
        assert "damaged" in broken.text
        application._make_matcher = FakeMatcher
        application.warm_up()
        assert client.get("/readyz").json()["status"] == "ready"


def test_a_closed_store_is_not_ready(client: TestClient, application: Application) -> None:
    assert client.get("/readyz").status_code == 200
    application.store.close()
    assert client.get("/readyz").json()["components"]["store"]["state"] == "down"
    assert client.get("/api/companies").status_code == 503


def test_an_emptied_market_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_dir=tmp_path / "d", demo_market=True)
    loaded: list[int] = []

    def load() -> tuple[list[Company], list[Listing], list[object]]:
        loaded.append(1)
        return [Company("c", "C")], [Listing("l", "c", "need", "x")], []

    monkeypatch.setattr("ism.data.demo.load", load, raising=False)
    with open_application(settings, FakeMatcher) as application:
        assert application.store.datasets() == {"demo": {"company": 1, "listing": 1, "exchange": 0}}
        application.store.delete_dataset("demo")
    with open_application(settings, FakeMatcher) as application:
        assert application.store.datasets() == {}
    assert loaded == [1]
