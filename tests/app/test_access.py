"""Who gets in, and what goes out with every answer."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.auth import Caller
from ism.app.http.app import create_app
from ism.app.http.guard import PUBLIC_PATHS
from ism.app.sessions import IDLE_SECONDS, RECHECK, SESSION_SECONDS, Sessions
from ism.app.wiring import Application, open_application
from ism.domain.errors import ConfigurationError, StorageFullError
from ism.settings import Settings

PAGES = [("GET", "/"), ("POST", "/matches"), ("GET", "/docs"), ("GET", "/openapi.json"), ("POST", "/sign-out")]
SAME = {"Sec-Fetch-Site": "same-origin"}


def every_route(application: Application) -> list[tuple[str, str]]:
    """Method and path of every operation and page."""
    paths = create_app(application).openapi()["paths"]
    listed = [(method.upper(), re.sub(r"\{.*?\}", "x", path)) for path, methods in paths.items() for method in methods]
    return listed + PAGES


def signed_in(anyone: TestClient, application: Application) -> TestClient:
    anyone.base_url = "http://127.0.0.1"
    response = anyone.get("/sign-in", params={"token": application.auth.link_token})
    assert response.status_code == 303
    assert response.headers["location"] == "/"
    return anyone


def test_every_route_but_the_public_ones_needs_a_key(anyone: TestClient, application: Application) -> None:
    routes = every_route(application)
    assert len(routes) > 20
    for method, path in routes:
        status = anyone.request(method, path).status_code
        if path in PUBLIC_PATHS:
            assert status != 401, path
        else:
            assert status == 401, (method, path)
    assert anyone.get("/no-such-page").status_code == 401
    assert anyone.get("/static/app.css").status_code == 200
    assert anyone.get("/static/../http/app.py").status_code in {401, 404}
    assert anyone.get("/static/%2e%2e/%2e%2e/wiring.py").status_code in {401, 404}


@pytest.mark.parametrize("key", ["", "x", "ism_00000000_" + "a" * 43, ADMIN_KEY + "x", "k" * 5000])
def test_wrong_keys_are_refused(anyone: TestClient, key: str) -> None:
    response = anyone.get("/api/companies", headers={"X-API-Key": key})
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"


def test_a_wrong_key_is_not_helped_by_a_session(anyone: TestClient, application: Application) -> None:
    client = signed_in(anyone, application)
    assert client.get("/api/companies").status_code == 200
    assert client.get("/api/companies", headers={"X-API-Key": "wrong"}).status_code == 401


def test_viewers_read_and_match_but_write_nothing(anyone: TestClient, application: Application) -> None:
    _, key = application.auth.create("reader", "viewer")
    anyone.headers["X-API-Key"] = key
    assert anyone.get("/api/companies").status_code == 200
    assert anyone.post("/api/matches", json={"offer": {"material": "ash"}}).status_code == 200
    writes = [
        (m, p) for m, p in every_route(application) if m != "GET" and p.startswith("/api/") and p != "/api/matches"
    ]
    assert len(writes) >= 9
    bodies = {"/api/companies": {"name": "x"}, "/api/listings": {"company_id": "x", "kind": "need", "material": "x"}}
    bodies["/api/keys"] = {"name": "x"}
    for method, path in writes:
        if path == "/api/import":
            response = anyone.post(path, files={"file": ("a.csv", b"x")})
        else:
            response = anyone.request(method, path, json=bodies.get(path, {}))
        assert response.status_code == 403, (method, path, response.text)
    assert anyone.get("/api/keys").status_code == 403


def test_operators_do_not_manage_keys(anyone: TestClient, application: Application) -> None:
    _, key = application.auth.create("writer", "operator")
    anyone.headers["X-API-Key"] = key
    assert anyone.post("/api/companies", json={"name": "Works"}).status_code == 201
    assert anyone.post("/api/keys", json={"name": "more", "role": "admin"}).status_code == 403


def test_a_key_is_made_used_listed_and_revoked(client: TestClient) -> None:
    made = client.post("/api/keys", json={"name": "robot", "role": "service"}).json()
    robot = {"X-API-Key": made["key"]}
    assert client.get("/api/companies", headers=robot).status_code == 200
    listed = client.get("/api/keys").json()["keys"]
    assert made["key_id"] in [key["key_id"] for key in listed]
    assert made["key"] not in client.get("/api/keys").text
    assert "hash" not in client.get("/api/keys").text
    assert client.delete(f"/api/keys/{made['key_id']}").json()["revoked_at"]
    assert client.get("/api/companies", headers=robot).status_code == 401
    assert client.delete("/api/keys/none").status_code == 404


def test_the_sign_in_link_opens_a_session(anyone: TestClient, application: Application) -> None:
    client = signed_in(anyone, application)
    cookie = client.cookies.jar.__iter__().__next__()
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite").lower() == "strict"
    assert client.get("/").status_code == 200
    assert client.post("/sign-out", headers=SAME).status_code == 303
    assert client.get("/", headers={"accept": "text/html"}).headers["location"] == "/sign-in"


def test_a_key_opens_a_session_that_ends_with_it(anyone: TestClient, application: Application) -> None:
    anyone.base_url = "http://127.0.0.1"
    made, key = application.auth.create("someone", "operator")
    assert anyone.post("/sign-in", data={"key": key}).status_code == 403
    assert anyone.post("/sign-in", data={"key": "wrong"}, headers=SAME).status_code == 401
    assert anyone.post("/sign-in", data={"key": f" {key} "}, headers=SAME).status_code == 303
    assert anyone.get("/api/companies").status_code == 200
    application.auth.revoke(made.key_id)
    assert anyone.get("/api/companies").status_code == 401


def test_wrong_links_are_refused(anyone: TestClient) -> None:
    assert anyone.get("/sign-in", params={"token": "x"}).status_code == 401
    assert not anyone.cookies


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "http://127.0.0.1:8000"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_only_the_page_itself_may_post_with_a_session(
    anyone: TestClient, application: Application, headers: dict[str, str], status: int
) -> None:
    client = signed_in(anyone, application)
    assert client.post("/matches", data={"material": "ash"}, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/", "/healthz", "/sign-in", "/static/app.js", "/api/companies", "/nothing", "/docs"])
def test_security_headers_are_everywhere(client: TestClient, path: str) -> None:
    client.base_url = "http://127.0.0.1"
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


class TestAuth:
    """The keys themselves."""

    def test_one_key_is_made_for_a_store_without_an_administrator(self, application: Application) -> None:
        auth = application.auth
        auth.revoke("environment-1")
        made = auth.ensure_admin(None)
        assert made is not None
        assert auth.check_key(made) is not None
        assert auth.ensure_admin(None) is None

    def test_another_configured_key_takes_the_place_of_the_first(self, application: Application) -> None:
        auth = application.auth
        assert auth.check_key(ADMIN_KEY) is not None
        auth.ensure_admin("another-key-of-16")
        assert auth.check_key("another-key-of-16") is not None
        assert auth.check_key(ADMIN_KEY) is None

    def test_a_revoked_configured_key_stays_revoked(self, application: Application) -> None:
        application.auth.revoke("environment-1")
        with pytest.raises(ConfigurationError, match="ISM_ADMIN_KEY"):
            application.auth.ensure_admin(ADMIN_KEY)

    def test_only_hashes_are_stored(self, application: Application) -> None:
        _, text = application.auth.create("x", "viewer")
        hashes = [key.key_hash for key in application.store.list_api_keys()]
        assert all(hashed.startswith("$argon2id$") for hashed in hashes)
        assert not any(text[13:] in hashed or ADMIN_KEY in hashed for hashed in hashes)

    def test_a_known_key_costs_no_second_hash(self, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
        auth = application.auth
        assert auth.check_key(ADMIN_KEY) is not None
        monkeypatch.setattr(auth, "_matches", lambda *_: pytest.fail("hashed again"))
        assert auth.check_key(ADMIN_KEY) is not None

    def test_a_revocation_by_another_process_is_noticed(
        self, application: Application, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from datetime import UTC, datetime

        from ism.app import auth as module

        now = [1000.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        made, text = application.auth.create("x", "viewer")
        assert application.auth.check_key(text) is not None
        application.store.revoke_api_key(made.key_id, datetime.now(UTC))
        now[0] += module.RECHECK + 1
        assert application.auth.check_key(text) is None

    def test_sessions_end_after_their_time(self, application: Application) -> None:
        now = [datetime(2026, 1, 1, tzinfo=UTC)]
        sessions = Sessions(application.store, lambda: now[0])
        cookie = sessions.open("ann", "viewer", None)
        for _ in range(SESSION_SECONDS // 3600):
            assert sessions.find(cookie) is not None
            now[0] += timedelta(hours=1)
        assert sessions.find(cookie) is None
        idle = sessions.open("ann", "viewer", None)
        now[0] += timedelta(seconds=IDLE_SECONDS + 1)
        assert sessions.find(idle) is None
        assert sessions.find("x") is None

    def test_sessions_outlive_a_process_and_end_in_all(self, application: Application) -> None:
        now = [datetime(2026, 1, 1, tzinfo=UTC)]
        one, other = (Sessions(application.store, lambda: now[0]) for _ in range(2))
        cookie = one.open("ann", "viewer", "k1")
        found = other.find(cookie)
        assert found is not None
        assert (found.name, found.role, found.key_id) == ("ann", "viewer", "k1")
        for _ in range(3):  # used at one of them, it is not idle at the other
            now[0] += timedelta(seconds=IDLE_SECONDS - 60)
            assert one.find(cookie) is not None
        now[0] += timedelta(seconds=60)
        assert other.find(cookie) is not None
        one.close(cookie)
        assert one.find(cookie) is None
        now[0] += timedelta(seconds=RECHECK)
        assert other.find(cookie) is None

    def test_a_restart_signs_nobody_out(self, settings: Settings) -> None:
        ann = Caller("ann", "viewer")
        with open_application(settings, make_matcher=FakeMatcher) as first:
            cookie = first.auth.open_session(ann)
        with open_application(settings, make_matcher=FakeMatcher) as second:
            assert second.auth.check_session(cookie) == ann

    def test_a_full_disk_keeps_nobody_out(self, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise StorageFullError("No space left.")

        monkeypatch.setattr(application.store, "add_session", full)
        sessions = Sessions(application.store)
        cookie = sessions.open("ann", "viewer", None)
        assert sessions.find(cookie) is not None
        assert Sessions(application.store).find(cookie) is None
