"""The real thing: from a stored demonstration market to ranked, explained receivers."""

import json

import pytest
from app_fakes import ADMIN_KEY
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.wiring import Application
from ism.domain.market import Listing
from ism.domain.match import MatchResult

ASH = {"material": "coal fly ash", "ewc": "10 01 02", "quantity_t_per_year": 50_000, "nace": "35.11"}


@pytest.fixture(scope="module")
def real_client(real_application: Application) -> TestClient:
    return TestClient(create_app(real_application), headers={"X-API-Key": ADMIN_KEY}, base_url="http://127.0.0.1")


def ask(client: TestClient, **question: object) -> dict:
    response = client.post("/api/matches", json=question)
    assert response.status_code == 200, response.text
    return response.json()


def test_fly_ash_goes_to_cement_for_a_rule_and_a_precedent(real_client: TestClient) -> None:
    answer = ask(real_client, offer=ASH)
    cement = next(match for match in answer["matches"][:3] if match["receiver"]["nace"] == "23.51")
    kinds = {reason["kind"] for reason in cement["reasons"] if reason["source"]}
    assert {"rule", "precedent"} <= kinds
    for match in answer["matches"]:
        assert match["final_score"] == pytest.approx(sum(match["engine_contributions"].values()), abs=1e-5)
    scores = [match["final_score"] for match in answer["matches"]]
    assert scores == sorted(scores, reverse=True)
    assert [match["rank"] for match in answer["matches"]] == list(range(1, 21))
    assert answer["missing_engines"] == {}


def test_what_was_shown_is_logged(real_client: TestClient, real_application: Application) -> None:
    answer = ask(real_client, offer=ASH, top=3)
    logged = real_application.store.get_request(answer["request_id"])
    assert [row.recommendation_id for row in logged] == [match["recommendation_id"] for match in answer["matches"]]


def test_a_list_that_is_asked_for_again_is_logged_again(real_client: TestClient, real_application: Application) -> None:
    first, again = (ask(real_client, offer=ASH, top=3) for _ in range(2))
    shown = [{**match, "recommendation_id": None} for match in again["matches"]]
    assert shown == [{**match, "recommendation_id": None} for match in first["matches"]]
    assert first["request_id"] != again["request_id"]
    logged = real_application.store.get_request(again["request_id"])
    assert [row.recommendation_id for row in logged] == [match["recommendation_id"] for match in again["matches"]]
    assert logged[0].engine_scores == real_application.store.get_request(first["request_id"])[0].engine_scores
    assert len(ask(real_client, offer=ASH, top=2)["matches"]) == 2
    assert ask(real_client, offer={**ASH, "nace": "24.10"}, top=3)["matches"] != first["matches"]


def test_each_engine_is_timed(real_client: TestClient, real_application: Application) -> None:
    ask(real_client, offer={"material": "coal fly ash"}, top=3)
    real_application.monitoring.collector.collect()
    engines = {each["name"] for each in real_application.engines() if each["state"] == "ok"}
    latest = real_application.monitoring.dashboard.latest()
    assert engines
    assert {name for name in engines if latest.get(f"model.latency:{name}", 0) > 0} == engines


def test_a_listed_offer_is_never_sent_to_its_own_company(
    real_client: TestClient, real_application: Application
) -> None:
    listing = real_application.store.page(Listing, where={"kind": "offer"}, limit=1).items[0]
    answer = ask(real_client, offer_id=listing.listing_id)
    assert listing.company_id not in [match["receiver"]["id"] for match in answer["matches"]]


def test_filters_hold(real_client: TestClient) -> None:
    here = {**ASH, "latitude": 55.66, "longitude": 11.08}
    near = ask(real_client, offer=here, filters={"kind": "company", "max_distance_km": 1000})["matches"]
    assert near
    assert all(match["receiver"]["kind"] == "company" and match["distance_km"] <= 1000 for match in near)
    cement = ask(real_client, offer=here, filters={"nace": "23.5", "countries": ["dk"]})["matches"]
    assert {match["receiver"]["country"] for match in cement} == {"DK"}
    nowhere = real_client.post("/api/matches", json={"offer": ASH, "filters": {"max_distance_km": 10}})
    assert nowhere.status_code == 422


def test_a_pair_that_is_not_listed_is_answered(real_client: TestClient) -> None:
    seller = {"name": "Power", "nace": "35.11", "listings": [{"material": "coal fly ash", "ewc": "100102"}]}
    buyer = {"name": "My Cement", "nace": "23.51", "listings": [{"material": "pozzolan for cement"}]}
    answer = ask(real_client, seller=seller, buyer=buyer)
    assert [match["receiver"]["name"] for match in answer["matches"]] == ["My Cement"]
    assert answer["matches"][0]["reasons"]


def test_a_new_company_is_found_at_once(real_client: TestClient) -> None:
    client = real_client
    need = {"listing_id": "zz-need", "company_id": "zz", "kind": "need", "material": "coal fly ash for cement"}
    assert client.post("/api/companies", json={"company_id": "zz", "name": "Zz", "nace": "23.51"}).status_code == 201
    assert client.post("/api/listings", json=need).status_code == 201
    assert "zz" in [match["receiver"]["id"] for match in ask(client, offer=ASH)["matches"]]
    assert client.delete("/api/companies/zz").status_code == 204
    assert "zz" not in [match["receiver"]["id"] for match in ask(client, offer=ASH)["matches"]]


def test_the_page_shows_the_real_answer(real_client: TestClient) -> None:
    html = real_client.post("/matches", data={"material": "coal fly ash", "ewc": "10 01 02", "nace": "35.11"}).text
    assert "Manufacture of cement" in html
    assert "CO₂e" in html


def test_both_ways_to_json_agree(real_client: TestClient, real_application: Application) -> None:
    """The command line makes its JSON without the server; both must have one shape."""
    answer = ask(real_client, offer=ASH, top=2)
    offer = TypeAdapter(MatchResult).validate_python(answer).offer
    direct = TypeAdapter(MatchResult).dump_python(real_application.match(offer, 2), mode="json")
    assert json.dumps(direct["matches"][0]["reasons"]) == json.dumps(answer["matches"][0]["reasons"])
    assert direct.keys() == answer.keys()
