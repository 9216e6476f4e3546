"""What the specification asks of access and of models, on a system that runs."""

import httpx
import pytest
from launching import launched

from ism.app.auth import MOST_ATTEMPTS


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with launched(tmp_path_factory.mktemp("security") / "data", "--disable-fusion") as it:
        it.ready()
        yield it


def test_the_dashboard_asks_who_is_there(system):
    page = httpx.get(system.client.base_url.join("/system"), headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/sign-in")


def test_keys_are_made_rotated_and_revoked(system):
    made = system.client.post("/api/keys", json={"name": "reader", "role": "viewer"}).json()
    reads = {"X-API-Key": made["key"]}
    assert system.client.get("/api/models", headers=reads).status_code == 200
    assert system.client.post("/api/backups", headers=reads).status_code == 403
    fresh = system.client.post(f"/api/keys/{made['key_id']}/rotate").json()
    assert system.client.get("/api/models", headers=reads).status_code == 401
    assert system.client.get("/api/models", headers={"X-API-Key": fresh["key"]}).status_code == 200
    assert system.client.delete(f"/api/keys/{fresh['key_id']}").status_code in {200, 204}
    assert system.client.get("/api/models", headers={"X-API-Key": fresh["key"]}).status_code == 401


def test_backup_is_made_and_checked(system):
    made = system.client.post("/api/backups")
    assert made.status_code in {200, 201}, made.text
    assert system.client.get("/api/backups").json()["backups"]


def test_suspicious_activity_is_noticed(system):
    for number in range(MOST_ATTEMPTS + 2):
        last = system.client.get("/api/models", headers={"X-API-Key": f"ism_guess{number}.{'x' * 40}"})
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) >= 1
    entries = system.client.get("/api/audit").json()["entries"]  # whoever has the right key still reads
    assert "sign-in.locked" in {entry["action"] for entry in entries}
    assert system.client.get("/api/audit/verify").json()["broken"] is None
