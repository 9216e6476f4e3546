"""No secret is written down: not in logs, answers, the audit log, backups, or what Python shows of a value."""

import logging
from pathlib import Path

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.wiring import open_application
from ism.settings import Settings

GIVEN = {
    "admin_key": ADMIN_KEY,
    "GNN_API_KEY": "secret-of-the-engines",
    "DEEPSEEK_API_KEY": "secret-of-the-model",
    "SUPABASE_SERVICE_ROLE_KEY": "secret-of-the-service-role",
    "alert_webhook_url": "https://hooks.example.invalid/secret-of-the-hook",
    "alert_smtp_password": "secret-of-the-post",
    "artifact_secret": "secret-of-the-bucket",
    "mlflow_tracking_uri": "https://ann:secret-of-mlflow@mlflow.example.invalid",
}
SAME = {"Sec-Fetch-Site": "same-origin"}


def secrets_of(settings: Settings) -> list[str]:
    return [ADMIN_KEY, *(value.rpartition("/")[2].partition("@")[0].rpartition(":")[2] for value in GIVEN.values())]


def test_no_secret_is_written_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    settings = Settings(data_dir=data, demo_market=False, feedback_turn_s=3600, _env_file=None, **GIVEN)
    texts = []
    caplog.set_level(logging.DEBUG)
    with open_application(settings, make_matcher=FakeMatcher) as application:
        application.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(application), base_url="http://127.0.0.1", follow_redirects=False) as client:
            auth, admin = application.auth, {"X-API-Key": ADMIN_KEY}
            made = client.post("/api/keys", headers=admin, json={"name": "robot", "role": "service"}).json()["key"]
            client.get("/sign-in", params={"token": auth.link_token})
            client.post("/sign-in", data={"key": made}, headers=SAME)
            cookie = next(iter(client.cookies.jar)).value
            client.post("/sign-in", data={"key": f"{made}x"}, headers=SAME)
            client.get("/api/companies", headers={"X-API-Key": f"{made}y"})
            client.get("/api/companies", headers={"Authorization": f"Bearer {made}"})
            client.post("/api/engines/gnn/score", headers={"X-API-Key": GIVEN["GNN_API_KEY"]}, json={"offer": {}})
            client.post("/api/keys", headers=admin, json={"name": made, "role": "king"})
            client.post("/api/backups", headers=admin)
            paths = (
                "/api/audit",
                "/api/keys",
                "/api/backups",
                "/openapi.json",
                "/system",
                "/readyz",
                "/metrics",
                "/docs",
            )
            texts += [client.get(path, headers=admin).text for path in paths]
            hidden = [made[13:], cookie, auth.link_token, auth.local_token, *secrets_of(settings)]
        texts += [repr(application.store.audit.entries()), repr(auth), repr(auth.list_keys())]
    ours = [record for record in caplog.records if record.name != "httpx2"]  # the test's own client
    texts += ["".join(record.getMessage() for record in ours), repr(settings), str(settings)]
    assert "Audit 1" in texts[-3]
    kept = b"".join(path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file())
    from ism.storage import archive

    (backup,) = (data / "backups").glob("*.zip")
    texts += [kept.decode("latin-1"), repr(archive.read_manifest(backup))]
    assert len(hidden) == 5 + len(GIVEN)
    assert min(map(len, hidden)) > 10
    found = [
        (secret, text[max(0, text.find(secret) - 80) :][:200]) for text in texts for secret in hidden if secret in text
    ]
    assert found == []


def test_the_search_sees_a_secret_that_is_written_down(caplog: pytest.LogCaptureFixture) -> None:
    assert "secret-of-mlflow" in secrets_of(Settings(_env_file=None))
    with caplog.at_level(logging.DEBUG, "ism"):
        logging.getLogger("ism").debug("secret-of-mlflow")
    assert any(secret in caplog.text for secret in secrets_of(Settings(_env_file=None)))
