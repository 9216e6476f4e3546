"""The web page, without a browser."""

import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.http.form import EXAMPLES, read
from ism.app.wiring import Application
from ism.domain.market import Recommendation


class Seen(HTMLParser):
    """Collects what the policy forbids, and labels and their fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: list[str] = []
        self.labels: set[str] = set()
        self.fields: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "style" in given or tag == "style" or any(name.startswith("on") for name in given):
            self.forbidden.append(f"{tag} {given}")
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.forbidden.append(f"{tag} {given}")
        for name in ("src", "href"):
            if tag in {"script", "link", "img", "use"} and "//" in (given.get(name) or ""):
                self.forbidden.append(f"{tag} {given}")
        if tag == "label":
            self.labels.add(given.get("for") or "")
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            self.fields.add(given.get("id") or "")
        if given.get("id"):
            self.ids.append(given["id"] or "")


def parsed(html: str) -> Seen:
    seen = Seen()
    seen.feed(html)
    return seen


@pytest.mark.parametrize(
    "path", ["/", "/matches", "/network", "/feedback", "/models", "/jobs", "/system", "/docs", "/sign-in"]
)
def test_pages_keep_to_the_policy(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    seen = parsed(response.text)
    assert not seen.forbidden
    assert seen.fields == seen.labels
    assert len(seen.ids) == len(set(seen.ids))


def test_an_answer_is_shown_with_reasons_figures_and_no_markup_of_others(client: TestClient) -> None:
    offer = {"material": "<script>alert(1)</script>", "ewc": "100102", "quantity_t_per_year": "50 000"}
    response = client.post("/matches", data=offer)
    assert response.status_code == 200
    html = response.text
    assert "<script>alert" not in html
    assert "<b>Ash</b>" not in html
    for words in (
        *("Aalborg Portland", "0.75", "Fly ash is a constituent of cement.", "EN 197-1", "210 km", "50,000 t/yr"),
        *("saves 12.5 €/t", "−30 to 4 €/t", "saves 700 kg CO₂e/t", "Mirror entry.", "Knowledge graph +0.45"),
        *("Sector to approach", "No distance is known."),
    ):
        assert words in html, words
    seen = parsed(html)
    assert not seen.forbidden
    assert len(seen.ids) == len(set(seen.ids))


def test_errors_stand_beside_their_fields_and_what_was_typed_stays(client: TestClient) -> None:
    response = client.post(
        "/matches", data={"ewc": "10 99 99", "latitude": "95", "quantity_t_per_year": "-4", "nace": "35.11"}
    )
    assert response.status_code == 422
    html = response.text
    notes = dict(re.findall(r'<p class="note error" id="(\w+)-note">([^<]+)', html))
    assert set(notes) == {"material", "ewc", "latitude", "longitude", "quantity_t_per_year"}
    assert "no such code" in notes["ewc"]
    assert 'value="35.11"' in html
    assert html.count('aria-invalid="true"') == 5
    assert "5 fields need another look" in html


def test_uploads_and_broken_bytes_do_no_harm_to_the_form(client: TestClient) -> None:
    assert client.post("/matches", files={"material": ("a.txt", b"ash")}).status_code in {400, 422}
    broken = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/matches", content=b"material=%ff%00", headers=broken).status_code in {200, 422}


def test_the_form_is_there_while_the_engines_start(application: Application) -> None:
    from ism.domain.errors import EngineError

    def starting(*_: object) -> None:
        raise EngineError("The engines are still starting; try again in a few seconds.")

    application.match = starting  # type: ignore[method-assign, assignment]  # the page sees a cold application
    client = TestClient(create_app(application), headers={"X-API-Key": application.auth.local_token})
    response = client.post("/matches", data={"material": "ash"})
    assert response.status_code == 503
    assert "still starting" in response.text
    assert 'value="ash"' in response.text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["label"])
def test_examples_are_good_offers(client: TestClient, example: dict[str, str]) -> None:
    assert not read(example).errors
    assert f'value="{example["material"]}"'.replace("'", "&#39;") in client.get("/matches", params=example).text


def test_the_reference_lists_every_operation_and_shape(client: TestClient) -> None:
    document, html = client.get("/openapi.json").json(), client.get("/docs").text
    for path in document["paths"]:
        assert path in html
    linked = set(re.findall(r'href="#([A-Z]\w+)"', html))
    assert {"MatchRequest", "MatchResult", "Problem"} <= linked
    assert linked <= set(parsed(html).ids)


def test_every_file_that_pages_name_exists(client: TestClient) -> None:
    named = set(re.findall(r'"(/static/[^"#]+)', client.get("/").text))
    assert len(named) >= 8
    for path in named:
        response = client.get(path)
        assert response.status_code == 200


def test_a_list_that_was_shown_has_an_address(client: TestClient, application: Application) -> None:
    offer = {"material": "<b>ash</b>", "hazardous": False, "latitude": 55.5, "longitude": 9.5}
    application.store.log_recommendations(
        [
            Recommendation("a-1", "a", 1, "sector", "nace:23.51", 0.9, 0.8, 1.0, {"matching": 0.7}, offer=offer),
            Recommendation("a-2", "a", 2, "company", "gone", 0.4, 0.3, 1.0, {"gnn": 0.2}, offer=offer),
        ]
    )
    rows = client.get("/panels/matches/list.json?request=a").json()["rows"]
    assert [(row["rank"], row["receiver"], row["score"], row["matching"], row["gnn"]) for row in rows] == [
        (1, "Manufacture of cement", 0.9, 0.7, None),
        (2, "gone", 0.4, None, 0.2),
    ]
    html = client.get("/matches?request=a").text
    assert "<b>ash</b>" not in html
    assert 'id="panel-list"' in html
    assert "/panels/matches/list.csv?request=a" in html
    assert re.search(r'<option value="no" selected>', html)
    none = client.get("/matches?request=none")
    assert none.status_code == 404
    assert "The log holds no list of this name." in none.text
    assert client.get("/panels/matches/list.csv?request=none").status_code == 200
