"""Guessing is slowed down and gets nowhere; whoever holds a key gets in all the same."""

import secrets
import time

import pytest
from app_fakes import ADMIN_KEY
from starlette.testclient import TestClient

from ism.app import attempts, auth
from ism.app.attempts import Buckets, LockedOutError, place_of
from ism.app.http.app import create_app
from ism.app.wiring import Application

SAME = {"Sec-Fetch-Site": "same-origin"}


def guess(anyone: TestClient, number: int, key_id: str) -> int:
    """One wrong try, by each way in turn; half of them know the identifier of a key."""
    text = f"ism_{key_id if number % 2 else secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    ways = (
        lambda: anyone.post("/sign-in", data={"key": text}, headers=SAME),
        lambda: anyone.get("/api/companies", headers={"X-API-Key": text}),
        lambda: anyone.get("/sign-in", params={"token": text}),
        lambda: anyone.post("/sign-in", data={"key": f"{ADMIN_KEY}{number}"}, headers=SAME),
        lambda: anyone.get("/api/companies", headers={"X-API-Key": f"guess-{number}"}),
        lambda: anyone.get("/api/companies", headers={"Cookie": f"ism_session_0={text}"}),
    )
    return ways[number % len(ways)]().status_code


@pytest.mark.parametrize("guesses", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_guess_passes_and_the_rightful_user_gets_in(
    anyone: TestClient, application: Application, guesses: int
) -> None:
    anyone.base_url = "http://127.0.0.1"
    _, key = application.auth.create("rightful", "operator")
    application.auth._remembered.clear()  # as after a restart: no key was used yet
    application.auth.ensure_admin(ADMIN_KEY)
    statuses = [guess(anyone, number, "00000000") for number in range(guesses)]
    assert set(statuses) == {401, 429}
    assert statuses.count(429) > guesses / 2
    assert not list(anyone.cookies.jar)
    for rightful in (key, ADMIN_KEY):  # at the same moment, from the same address
        assert anyone.post("/sign-in", data={"key": rightful}, headers=SAME).status_code == 303
        assert anyone.get("/api/companies", headers={"X-API-Key": rightful}).status_code == 200
    assert anyone.get("/sign-in", params={"token": application.auth.link_token}).status_code == 303
    actions = [entry.action for entry in application.store.audit.entries(limit=1000)]
    assert actions.count("sign-in.locked") == 1
    assert actions.count("sign-in") == 3


def test_a_locked_place_is_told_how_long_to_wait(anyone: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    monkeypatch.setattr(attempts.time, "monotonic", lambda: started)  # a slow machine gives no tries back
    for number in range(auth.MOST_ATTEMPTS):
        assert anyone.get("/api/companies", headers={"X-API-Key": f"guess-{number}"}).status_code == 401
    locked = anyone.get("/api/companies", headers={"X-API-Key": "guess"})
    assert locked.status_code == 429
    assert locked.headers["content-type"] == "application/problem+json"
    assert 1 <= int(locked.headers["retry-after"]) <= auth.ATTEMPT_SECONDS


def test_guesses_at_a_known_key_cost_few_hashes(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = application.auth.create("target", "viewer")
    hashed: list[str] = []
    monkeypatch.setattr(application.auth, "_matches", lambda key, text: hashed.append(text))
    for number in range(100):
        with pytest.raises(LockedOutError) if number >= auth.MOST_ATTEMPTS else monkeypatch.context():
            assert application.auth.check_key(f"ism_{made.key_id}_{secrets.token_urlsafe(32)}", "a place") is None
    assert len(hashed) == auth.MOST_ATTEMPTS


def test_a_place_gets_its_tries_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(attempts.time, "monotonic", lambda: now[0])
    buckets = Buckets(2, 0.5)
    assert [buckets.take("a"), buckets.take("a"), buckets.take("b")] == [0, 0, 0]
    assert buckets.take("a") == pytest.approx(2.0)
    now[0] += 1.0
    assert buckets.wait_s("a") == pytest.approx(1.0)
    now[0] += 1.0
    assert buckets.take("a") == 0
    now[0] += 3600
    assert [buckets.take("a") > 0 for _ in range(3)] == [False, False, True]


def test_forgotten_places_do_not_pile_up() -> None:
    buckets = Buckets(1, 0.001)
    for number in range(12_000):
        buckets.take(str(number))
    assert len(buckets._left) == 10_000
    assert buckets.take("11999") > 0


@pytest.mark.parametrize(
    ("client", "place"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::1", 1), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("testclient", 1), "testclient"),
        (None, "unknown"),
    ],
)
def test_neighbours_in_one_network_count_as_one(client: tuple[str, int] | None, place: str) -> None:
    assert place_of(client) == place


def test_a_caller_that_sends_too_fast_is_slowed_down_alone(application: Application) -> None:
    application.settings.caller_requests_per_s = 5.0
    _, other = application.auth.create("other", "viewer")
    with TestClient(create_app(application)) as client:
        statuses = [client.get("/api/companies", headers={"X-API-Key": ADMIN_KEY}).status_code for _ in range(60)]
        assert statuses[:10] == [200] * 10
        assert 429 in statuses
        assert client.get("/api/companies", headers={"X-API-Key": other}).status_code == 200
        refused = [client.get("/healthz") for _ in range(60)][-1]
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "content-security-policy" in refused.headers
