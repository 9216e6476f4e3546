"""Backups as people and the server make them."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_cli import _small, run  # noqa: F401 - the fixture works by being there

from ism.app.backups import BackupService
from ism.app.orchestrator import ProductionConfig, ProductionOrchestrator
from ism.app.sessions import Sessions
from ism.app.wiring import Application
from ism.domain.errors import StorageError
from ism.domain.market import Company
from ism.storage import SYSTEM, open_sqlite


def test_an_administrator_makes_and_lists_backups(client: TestClient, application: Application) -> None:
    application.store.create(Company("c1", "Works"))
    made = client.post("/api/backups")
    assert made.status_code == 201
    assert made.json()["checked"] == "restored into a scratch folder"
    assert [each["name"] for each in client.get("/api/backups").json()["backups"]] == [made.json()["name"]]
    entry = client.get("/api/audit").json()["entries"][0]
    assert (entry["actor"], entry["action"], entry["target"]) == ("ISM_ADMIN_KEY", "backup.create", made.json()["name"])


def test_a_backup_is_due_when_the_newest_is_older_than_the_interval(application: Application) -> None:
    service = BackupService(application.settings, application.store)
    first, now = service.turn(), datetime.now(UTC)
    assert first is not None
    assert service.turn(now + timedelta(seconds=service.interval_s - 60)) is None
    assert service.turn(now + timedelta(seconds=service.interval_s + 60)) is not None
    assert len(service.list()) == 2
    assert service.health()[0] == "ok"


def test_the_loop_makes_one_and_stops(application: Application) -> None:
    service = application.backups
    service.interval_s, made = 0.05, threading.Event()
    turn = service.turn

    def told(now: datetime | None = None) -> object:
        done = turn(now)
        made.set()
        return done

    service.turn = told  # type: ignore[method-assign,assignment]  # to hear of it
    service.start()
    assert made.wait(30)
    service.stop()
    assert service.list()


def test_a_failure_is_told_until_one_succeeds(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    service = BackupService(application.settings, application.store)
    with monkeypatch.context() as broken:
        broken.setattr(application.store, "dump", lambda folder: (_ for _ in ()).throw(StorageError("away")))
        with pytest.raises(StorageError):
            service.turn()
    assert service.health()[0] == "degraded"
    assert service.turn() is not None
    assert service.health()[0] == "ok"


def test_commands_back_up_restore_and_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("keys", "create", "robot", "--role", "service")
    with open_sqlite(tmp_path / "data") as store:
        cookie = Sessions(store).open("ann", "viewer", None)
    made = json.loads(run("backup", "--json").stdout)
    path, target = tmp_path / "data" / "backups" / made["name"], tmp_path / "again"
    assert made["name"] in run("backup", "--list").stdout
    assert "is whole" in run("restore", str(path), "--check").stdout
    assert "not empty" in run("restore", str(path), code=1).stderr
    assert "Restored" in run("restore", str(path), "--into", str(target)).stdout
    assert f"{path.name} is whole" in run("restore", str(path.parent), "--check").stdout
    assert "holds no backup" in run("restore", str(tmp_path), "--check", code=1).stderr
    assert "robot" in run("keys", "list", "--data-dir", str(target)).stdout
    for folder, is_open in ((tmp_path / "data", True), (target, False)):  # a restore signs everybody out
        with open_sqlite(folder) as store:
            assert (Sessions(store).find(cookie) is not None) == is_open
    told = json.loads(run("audit", "list", "--data-dir", str(target), "--json").stdout)["entries"]
    assert [entry["action"] for entry in told] == ["backup.restore", "key.create"]
    assert "2 entries are as they were written" in run("audit", "verify", "--data-dir", str(target)).stdout
    assert "was cut off" in run("audit", "verify", "--head", "0" * 64, code=1).stderr
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read" in run("restore", str(path), "--into", str(tmp_path / "third"), code=1).stderr
    assert not (tmp_path / "third").exists()


def test_a_key_is_rotated(client: TestClient, application: Application) -> None:
    made = client.post("/api/keys", json={"name": "robot", "role": "service"}).json()
    other = client.post(f"/api/keys/{made['key_id']}/rotate")
    assert other.status_code == 201
    assert (other.json()["name"], other.json()["role"]) == ("robot", "service")
    assert client.get("/api/companies", headers={"X-API-Key": made["key"]}).status_code == 401
    assert client.get("/api/companies", headers={"X-API-Key": other.json()["key"]}).status_code == 200
    assert client.post(f"/api/keys/{made['key_id']}/rotate").status_code == 409
    assert client.post("/api/keys/environment-1/rotate").status_code == 409
    assert client.post("/api/keys/none/rotate").status_code == 404
    assert client.get("/api/audit/verify").json()["broken"] is None
    assert other.json()["key"][13:] not in client.get("/api/audit").text


def test_a_key_is_rotated_by_command() -> None:
    made = json.loads(run("keys", "create", "robot", "--json").stdout)
    assert run("keys", "rotate", made["key_id"]).stdout.startswith("ism_")
    assert "was revoked" in run("keys", "rotate", made["key_id"], code=1).stderr


def test_a_supervised_system_makes_backups_by_itself(application: Application) -> None:
    orchestrator = ProductionOrchestrator(ProductionConfig(backup_interval=1), application=application)

    async def until_there_is_one() -> str:
        async with orchestrator:
            for _ in range(600):
                if await asyncio.to_thread(application.backups.list):
                    break
                await asyncio.sleep(0.05)
            return str(orchestrator.get_system_status()["components"]["backup"]["state"])

    assert asyncio.run(until_there_is_one()) == "ok"
    assert application.backups.list()
    assert application.store.audit.entries(limit=1)[0].actor == SYSTEM


def test_the_system_page_lists_backups_for_administrators(client: TestClient, application: Application) -> None:
    assert "There is none yet." in client.get("/panels/system/backups").text
    made = application.backups.create()
    assert made.name in client.get("/panels/system/backups").text
    viewer = {"X-API-Key": application.auth.create("v", "viewer")[1]}
    told = client.get("/panels/system/backups", headers=viewer).text
    assert made.name not in told
    assert "Administrators see the backups." in told
