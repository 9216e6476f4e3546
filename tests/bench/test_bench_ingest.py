import sqlite3
from pathlib import Path

import pytest

from bench import ingest, ingest_http
from ism.storage import open_sqlite


def test_every_way_stores_every_event(tmp_path: Path) -> None:
    bare = ingest.BareSqlite(tmp_path / "bare.sqlite3")
    with open_sqlite(tmp_path / "data") as store:
        found = ingest.in_process(store, bare.write, rounds=2, count=130)
        events = store.feedback.events(limit=10_000)
    assert len(events) == 3 * 2 * 130
    assert all(item.recommendation_id for item in events)
    rows = sqlite3.connect(tmp_path / "bare.sqlite3").execute("SELECT count(*) FROM bare").fetchone()
    assert rows == (2 * 130,)
    assert found["ratios"]["bare"] == 1.0
    assert set(found["rates"]) == set(found["ratios"]) == {"bare", "batches", "one_writer", "single"}


def test_both_routes_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_http, "CONNECTIONS", 4)
    found = ingest_http.http_rates(tmp_path / "served", None, rounds=1, seconds=0.2)
    assert found["ratio"] == pytest.approx(found["stored"] / found["checked"])
    assert found["stored_p99_ms"] > 0
    with open_sqlite(tmp_path / "served") as store:
        assert store.feedback.totals().events["user_feedback"] >= 4
        assert store.feedback.dead_letters() == []


def test_the_section_shows_rates_and_ratios() -> None:
    part = {
        "rates": {"bare": 100_000.0, "batches": 50_000.0, "one_writer": 45_000.0, "single": 40_000.0},
        "ratios": {"bare": 1.0, "batches": 0.5, "one_writer": 0.45, "single": 0.4},
        "http": {"checked": 3000.0, "stored": 2400.0, "ratio": 0.8, "stored_p99_ms": 31.0},
    }
    found = {
        "event_bytes": 247, "rounds": 7, "events_per_round": 12_800, "databases": {"sqlite": part, "postgresql": part},
        "limits": {"store": 0.4, "http": 0.6},
    }  # fmt: skip
    text = ingest.section(found, "how it ran")
    assert "| bare driver, batches of 64 | 100,000 |  | 100,000 |  |" in text
    assert "| 50,000 | 0.50 |" in text
    assert "| 2,400 | 0.80 |" in text
    assert "31 ms on SQLite" in text
    assert "*simulated*" in text
