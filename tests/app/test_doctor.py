"""Each check of `ism doctor` finds what is wrong, says how to mend it, and changes nothing."""

import json
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ism.app import doctor
from ism.app.cli.root import app
from ism.settings import Settings
from ism.storage import open_sqlite
from ism.testing.ports import free_port


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return Settings(data_dir=tmp_path / "data", port=free_port())


def run(*options: str) -> tuple[int, dict]:
    done = CliRunner().invoke(app, ["doctor", "--json", *options])
    return done.exit_code, json.loads(done.stdout)


def found(settings: Settings) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(settings)}


def test_a_machine_before_the_first_start_is_healthy_and_stays_untouched(settings: Settings):
    code, told = run("--port", str(settings.port))
    assert (code, told["healthy"]) == (0, True)
    assert [each["name"] for each in told["findings"]] == list(doctor.CHECKS)
    assert not settings.data_dir.exists()


def test_a_folder_in_use_is_healthy(settings: Settings):
    with open_sqlite(settings.data_dir):
        assert found(settings)["database"].verdict == "ok"
    assert "schema" in found(settings)["database"].detail


def test_a_damaged_database_is_told(settings: Settings):
    open_sqlite(settings.data_dir).close()
    path = settings.data_dir / "ism.sqlite3"
    path.write_bytes(b"SQLite format 3\0" + b"\x07" * 5000)
    code, told = run("--port", str(settings.port))
    (bad,) = [each for each in told["findings"] if each["verdict"] == "failed"]
    assert (code, bad["name"]) == (1, "database")
    assert "Restore a backup" in bad["remedy"]


def test_a_database_of_a_newer_program_is_told(settings: Settings):
    open_sqlite(settings.data_dir).close()
    with closing(sqlite3.connect(settings.data_dir / "ism.sqlite3")) as connection:
        connection.execute("UPDATE ism_alembic_version SET version_num = '9999'")
        connection.commit()
    assert found(settings)["database"].remedy == "Use the newer program that made it."


def test_a_database_server_that_is_away_is_told_without_its_password(settings: Settings):
    away = settings.model_copy(
        update={"database_url": Settings(DATABASE_URL="postgresql://u:hunter22@127.0.0.1:9/d").database_url}
    )
    finding = found(away)["database"]
    assert finding.verdict == "failed"
    assert "DATABASE_URL" in finding.remedy
    assert "hunter22" not in finding.detail


@pytest.mark.postgres
def test_a_database_server_is_asked(settings: Settings, postgres_url: str):
    there = settings.model_copy(update={"database_url": Settings(DATABASE_URL=postgres_url).database_url})
    assert found(there)["database"].verdict == "ok"


def test_model_files_that_were_changed_are_told(settings: Settings):
    from ism.retraining.opening import blobs_of

    blobs = blobs_of(settings)
    digest = blobs.put(b"weights")
    assert found(settings)["model files"].verdict == "ok"
    next(settings.data_dir.rglob(digest)).write_bytes(b"others")
    finding = found(settings)["model files"]
    assert (finding.verdict, digest in finding.detail) == ("failed", True)


def test_engines_that_cannot_be_loaded_are_told(settings: Settings):
    folder = settings.data_dir / "models" / "serving"
    folder.mkdir(parents=True)
    (folder / "fusion.json").write_text("{broken")
    finding = found(settings)["model files"]
    assert finding.verdict == "failed"
    assert "models/serving" in finding.remedy


def test_a_taken_port_is_told(settings: Settings):
    with socket.create_server(("127.0.0.1", settings.port)):
        finding = found(settings)["port"]
    assert (finding.verdict, "--port" in finding.remedy) == ("failed", True)


def test_a_clock_that_is_behind_what_was_stored_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(doctor, "_newest_moment", lambda settings: later)
    finding = found(settings)["clock"]
    assert (finding.verdict, "NTP" in finding.remedy) == ("failed", True)


def test_the_newest_moment_is_that_of_the_last_event(settings: Settings):
    import asyncio

    from ism.feedback.orchestrator import AIFeedbackOrchestrator

    event = {"type": "error", "data": {"component": "gnn", "message": "m"}}
    with open_sqlite(settings.data_dir) as store, AIFeedbackOrchestrator(store, settings) as feedback:
        asyncio.run(feedback.ingest_feedback(event))
    newest = doctor._newest_moment(settings)
    assert newest is not None
    assert abs(datetime.now(UTC) - newest) < timedelta(minutes=1)


def test_an_unknown_time_zone_is_told(settings: Settings):
    finding = found(settings.model_copy(update={"schedule_zone": "Atlantis/Capital"}))["clock"]
    assert (finding.verdict, "Europe/Berlin" in finding.remedy) == ("failed", True)


def test_a_folder_that_others_may_read_is_a_warning(settings: Settings):
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    finding = found(settings)["data folder"]
    assert (finding.verdict, "chmod 700" in finding.remedy) == ("warning", True)
    assert run("--port", str(settings.port))[0] == 0


def test_a_full_disk_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**62)
    assert found(settings)["data folder"].verdict == "failed"


def test_a_library_that_does_not_fit_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        doctor, "requires", lambda name: ["numpy>=99", "no-such-library>=1", "prefect; extra == 'prefect'"]
    )
    finding = found(settings)["environment"]
    assert finding.verdict == "failed"
    assert "numpy is" in finding.detail
    assert "no-such-library is missing" in finding.detail
    assert "prefect" not in finding.detail


def test_a_check_that_breaks_down_leaves_the_others(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(doctor.CHECKS, "clock", lambda settings: 1 / 0)
    told = found(settings)
    assert (told["clock"].verdict, told["port"].verdict) == ("failed", "ok")


def test_people_read_it_too(settings: Settings):
    done = CliRunner().invoke(app, ["doctor", "--port", str(settings.port)], env={"COLUMNS": "140"})
    assert done.exit_code == 0
    assert "is made at the first start" in done.stdout
