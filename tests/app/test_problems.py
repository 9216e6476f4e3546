"""Bad input: a clear 4xx that names the field and the value, never a 500."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from ism.app.http.guard import Guard
from ism.app.wiring import Application

JSON = {"content-type": "application/json"}


def problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    assert body["detail"]
    return body


def fields(response) -> dict[str, str]:
    return {entry["field"]: entry["reason"] for entry in problem(response, 422)["errors"]}


@pytest.mark.parametrize(
    ("offer", "field", "reason"),
    [
        ({"ewc": "10 99 99"}, "offer.ewc", "no such code"),
        ({"ewc": 100102}, "offer.ewc", "string"),
        ({"ewc": "9" * 100_000}, "offer.ewc", "at most 40"),
        ({"nace": "99.99"}, "offer.nace", "no such code"),
        ({"nace": "C"}, "offer.nace", "too coarse"),
        ({"country": "Denmark"}, "offer.country", "two letters"),
        ({"quantity_t_per_year": -1}, "offer.quantity_t_per_year", "greater than or equal to 0"),
        ({"quantity_t_per_year": 1e300}, "offer.quantity_t_per_year", "less than"),
        ({"quantity_t_per_year": True}, "offer.quantity_t_per_year", "number"),
        ({"latitude": 91, "longitude": 0}, "offer.latitude", "less than or equal to 90"),
        ({"latitude": 9, "longitude": -181}, "offer.longitude", "greater than or equal to -180"),
        ({"latitude": 9}, "offer", "longitude is missing"),
        ({"material": "  "}, "offer.material", "at least 1"),
        ({"material": None}, "offer.material", "string"),
        ({"hazardous": "perhaps"}, "offer.hazardous", "boolean"),
        ({"valid_from": "2026-02-30"}, "offer.valid_from", "date"),
        ({"valid_from": "2026-02-02", "valid_until": "2026-02-01"}, "offer", "before valid_from"),
        ({"colour": "grey"}, "offer.colour", "not permitted"),
    ],
)
def test_each_bad_field_is_named(client: TestClient, offer: dict, field: str, reason: str) -> None:
    response = client.post("/api/matches", json={"offer": {"material": "ash", **offer}})
    assert reason in fields(response)[field]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"offer": {"material": "\xff"}}', 400, "UTF-8"),
        (b"{", 400, "line 1, column 2"),
        (b"[" * 100_000, 400, "deeply"),
        (b"[" * 40 + b"]" * 40, 400, "deeply"),
        (b'{"offer": {"material": "a", "latitude": NaN}}', 422, "offer.latitude"),
        (b'{"offer": {"material": "a", "price_eur_per_t": -Infinity}}', 422, "offer.price_eur_per_t"),
        (b'{"offer": {"material": "a", "quantity_t_per_year": 1e999}}', 422, "offer.quantity_t_per_year"),
        (b'{"offer": {"material": "a", "quantity_t_per_year": ' + b"9" * 5000 + b"}}", 422, "number"),
        (b'{"offer": {"material": "a\\u0000b"}}', 422, "NUL"),
        (b'{"offer": {"material": "\\ud800"}}', 422, "surrogate"),
        (b'{"\\ud800": 1}', 422, "surrogate"),
        (b"null", 422, "body"),
        (b"", 422, "body"),
        (b"[]", 422, "body"),
    ],
)
def test_bodies_that_are_no_proper_json(client: TestClient, body: bytes, status: int, words: str) -> None:
    response = client.post("/api/matches", content=body, headers=JSON)
    assert words in json.dumps(problem(response, status))


def test_unknown_addresses_and_methods(client: TestClient) -> None:
    problem(client.get("/api/nothing"), 404)
    problem(client.put("/api/companies", json={}), 405)
    problem(client.get("/api/companies/none"), 404)
    problem(client.get("/static/none.css"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/api/companies?limit=0",
        "/api/companies?limit=1001",
        "/api/companies?country=XX",
        "/api/companies?after=%00",
        "/api/companies/%00",
        "/api/companies/" + "x" * 300,
        "/api/listings?kind=gift",
        "/api/listings?ewc=99",
        "/api/exchanges?status=maybe",
    ],
)
def test_bad_queries(client: TestClient, path: str) -> None:
    assert fields(client.get(path))


def test_large_bodies_are_refused(client: TestClient, application: Application) -> None:
    most = application.settings.max_body_bytes
    exact = json.dumps({"offer": {"material": "a"}}).encode().ljust(most)
    assert client.post("/api/matches", content=exact, headers=JSON).status_code == 200
    problem(client.post("/api/matches", content=exact + b" ", headers=JSON), 413)
    problem(client.post("/matches", content=b"material=" + b"a" * most), 413)

    def unannounced() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * (most // 10)

    problem(client.post("/api/matches", content=unannounced(), headers=JSON), 413)


def test_failures_of_ours_are_told_without_their_inside(
    client: TestClient, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret path")

    monkeypatch.setattr(application, "match", broken)
    response = client.post("/api/matches", json={"offer": {"material": "ash"}})
    assert "secret" not in response.text
    problem(response, 500)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_caller_who_leaves_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    async def refuse(message: Message) -> None:
        raise AssertionError(message)

    caplog.set_level(logging.INFO, "ism")
    asyncio.run(Guard(read_all)({"type": "http", "method": "POST", "path": "/api/feedback"}, leave, refuse))
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "/api/feedback: the caller left" in caplog.text
