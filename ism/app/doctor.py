"""Checks of what the system stands on: environment, data folder, database, models, marketplace, port, clock.

Nothing is changed: a database is opened to be read, a port is tried and let go, and no folder is made.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ism.domain.errors import ArtifactError, IsmError
from ism.storage.migrations import HEAD, VERSION_TABLE
from ism.storage.opening import SQLITE_FILE

if TYPE_CHECKING:
    from ism.settings import Settings

Verdict = Literal["ok", "warning", "failed"]
LEAST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 1024**3  # a first start with its models and logs stays well below
_RELEASED = datetime(2026, 1, 1, tzinfo=UTC)  # no machine that runs this can be earlier
_SKEW = timedelta(seconds=5)  # by which two clocks may differ before it is told
_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: of the check.
        verdict: ``failed`` where the system would not work.
        detail: what was found.
        remedy: what to do about it; the empty text where there is nothing to do.
    """

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All checks, in the order in which they help each other; one that breaks down is a finding, too."""
    return [_guarded(name, partial(check, settings)) for name, check in CHECKS.items()]


def environment(settings: Settings) -> Finding:
    """Whether Python and the libraries are those that this version was made for."""
    if sys.version_info < LEAST_PYTHON:
        found, wanted = sys.version.split()[0], ".".join(map(str, LEAST_PYTHON))
        return Finding("environment", "failed", f"Python {found}.", f"Use Python {wanted} or newer.")
    wrong = _wrong_libraries()
    if wrong:
        remedy = "Install again: pip install -c constraints.txt ism-ai-platform"
        return Finding("environment", "failed", f"{'; '.join(wrong)}.", remedy)
    detail = f"Python {sys.version.split()[0]}, ism-ai-platform {version('ism-ai-platform')}, all libraries fit."
    return Finding("environment", "ok", detail)


def data_folder(settings: Settings) -> Finding:
    """Whether the data folder can be written, is private, and has room."""
    folder = settings.data_dir.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        remedy = f"chown or chmod {there}, or set ISM_DATA_DIR to a folder that you may write."
        return Finding("data folder", "failed", f"{there} cannot be written.", remedy)
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        remedy = "Free disk space, or set ISM_DATA_DIR to another disk."
        return Finding("data folder", "failed", f"Only {free / 2**20:.0f} MiB are free at {there}.", remedy)
    if there == folder and folder.stat().st_mode & 0o077:
        detail, remedy = f"{folder} can be read by other users.", f"chmod 700 {folder}"
        return Finding("data folder", "warning", detail, remedy)
    new = "" if there == folder else " It is made at the first start."
    return Finding("data folder", "ok", f"{folder}, {free / 2**30:.1f} GiB free.{new}")


def database(settings: Settings) -> Finding:
    """Whether the database can be read, is whole, and has a schema that this program knows."""
    if settings.database_url is not None:
        return _postgres(settings.database_url.get_secret_value())
    path = settings.data_dir / SQLITE_FILE
    if not path.exists():
        return Finding("database", "ok", f"{path} is made at the first start.")
    remedy = "Restore a backup (ism restore), or move the file away to start afresh."
    try:
        with closing(_readable(path)) as connection:
            whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            revision = _revision(connection)
    except sqlite3.DatabaseError as error:
        return Finding("database", "failed", f"{path} cannot be read: {error}.", remedy)
    if whole != "ok":
        return Finding("database", "failed", f"{path} is damaged: {whole}.", remedy)
    return _known_schema(str(path), revision)


def model_files(settings: Settings) -> Finding:
    """Whether the engines that serve can be loaded, and no stored version was changed."""
    from ism.data.text import SentenceModel  # noqa: PLC0415 - numpy only where models are looked at
    from ism.engines import catalog  # noqa: PLC0415 - as above
    from ism.fusion.store import load_fusion  # noqa: PLC0415 - as above
    from ism.retraining.opening import blobs_of  # noqa: PLC0415 - as above

    remedy = "Restore a backup (ism restore), or remove models/serving in the data folder to train again."
    encoder = SentenceModel(settings.text_model)
    folder = settings.data_dir / "models" / "serving"
    try:
        loaders = {name: partial(catalog.load, name, encoder=encoder) for name in catalog.names()}
        engines = list(load_fusion(folder, loaders).engines) if folder.is_dir() else []
        checked = 0
        if settings.artifact_endpoint is None:
            blobs = blobs_of(settings)
            for digest in blobs.digests():
                blobs.get(digest)
                checked += 1
    except ArtifactError as error:
        return Finding("model files", "failed", str(error), "Restore a backup (ism restore).")
    except IsmError as error:
        return Finding("model files", "failed", str(error), remedy)
    if not engines:
        return Finding("model files", "ok", "None yet; engines are trained at the first start.")
    return Finding("model files", "ok", f"{', '.join(engines)} can be loaded; {checked} stored files are unchanged.")


def marketplace(settings: Settings) -> Finding:
    """Whether the marketplace that is set answers, and has the tables and columns of the mapping."""
    if not settings.connects_marketplace:
        return Finding("marketplace", "ok", "None is connected; everything stays here.")
    from ism.app.marketplace.checking import check_mapping  # noqa: PLC0415 - only where one is set
    from ism.app.marketplace.mapping import load_mapping  # noqa: PLC0415 - as above
    from ism.app.marketplace.postgrest import PostgRest  # noqa: PLC0415 - as above

    client = PostgRest(settings.model_copy(update={"marketplace_request_s": _WAIT_S}))
    try:
        found = check_mapping(client, load_mapping(settings.marketplace_mapping))
    except IsmError as error:
        return Finding("marketplace", "failed", str(error), "docs/supabase.md goes through it step by step.")
    finally:
        client.close()
    notes = found.notes()
    if notes:
        return Finding("marketplace", "warning", notes[0], "Run deploy/supabase/updated_at.sql in the project.")
    return Finding("marketplace", "ok", f"{', '.join(found.tables)} fit the mapping.")


def port(settings: Settings) -> Finding:
    """Whether the port is free, or our own server answers at it."""
    from ism.app.record import read_record  # noqa: PLC0415 - only where it is asked

    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        record = read_record(settings.data_dir)
        if record is not None and record.url.endswith(f":{settings.port}") and _answers(record.url):
            return Finding("port", "ok", f"The server of this folder (process {record.pid}) answers at {where}.")
        remedy = "Stop what listens there, or choose another --port (MONITORING_PORT)."
        return Finding("port", "failed", f"{where} cannot be listened on ({error.strerror}).", remedy)
    return Finding("port", "ok", f"{where} is free.")


def clock(settings: Settings) -> Finding:
    """Whether the clock can be right: events, leases and schedules go by it."""
    now, remedy = datetime.now(UTC), "Set the clock, best by NTP (timedatectl set-ntp true)."
    if now < _RELEASED:
        return Finding("clock", "failed", f"It says {now:%Y-%m-%d %H:%M} UTC, before this program was made.", remedy)
    newest = _newest_moment(settings)
    if newest is not None and newest > now + _SKEW:
        detail = f"It says {now:%Y-%m-%d %H:%M:%S} UTC, but something was stored at {newest:%Y-%m-%d %H:%M:%S} UTC."
        return Finding("clock", "failed", detail, remedy)
    if settings.schedule_zone:
        try:
            ZoneInfo(settings.schedule_zone)
        except (ZoneInfoNotFoundError, ValueError):
            detail = f"schedule_zone: {settings.schedule_zone!r} is not known here."
            return Finding("clock", "failed", detail, "Give an IANA name such as Europe/Berlin, or install tzdata.")
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC, local zone {time.strftime('%Z')}.")


CHECKS: dict[str, Callable[[Settings], Finding]] = {
    "environment": environment,
    "data folder": data_folder,
    "database": database,
    "model files": model_files,
    "marketplace": marketplace,
    "port": port,
    "clock": clock,
}


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except IsmError as error:
        return Finding(name, "failed", str(error), "Do what the message says.")
    except Exception as error:  # noqa: BLE001 - the other checks are wanted all the same
        remedy = "Report this; it is likely a defect of this program."
        return Finding(name, "failed", f"The check itself failed: {type(error).__name__}: {error}.", remedy)


def _wrong_libraries() -> list[str]:
    from packaging.requirements import Requirement  # noqa: PLC0415 - only where it is asked

    wrong = []
    for line in requires("ism-ai-platform") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, not {wanted.specifier}")
    return wrong


def _readable(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)


def _revision(connection: sqlite3.Connection) -> str | None:
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone()
    if there is None:
        return None
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    return str(row[0]) if row else None


def _postgres(url: str) -> Finding:
    from sqlalchemy import text  # noqa: PLC0415 - only where there is a server

    from ism.storage import dialects  # noqa: PLC0415 - as above
    from ism.storage.database import Database  # noqa: PLC0415 - as above
    from ism.storage.migrations import current_revision  # noqa: PLC0415 - as above

    database = Database(dialects.postgres_engine(dialects.postgres_url(url)))
    try:
        with database.read() as connection:
            dialects.check_postgres(connection)
            revision = current_revision(connection)
            theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    except IsmError as error:
        return Finding("database", "failed", str(error), "Check DATABASE_URL, the server and the network.")
    finally:
        database.close()
    apart = abs(datetime.now(UTC) - theirs)
    if apart > _SKEW:
        detail = f"Its clock differs from this machine's by {apart.total_seconds():.0f} s."
        return Finding("database", "warning", detail, "Set both clocks by NTP.")
    return _known_schema(database.location, revision)


def _known_schema(where: str, revision: str | None) -> Finding:
    if revision is None:
        return Finding("database", "ok", f"{where} answers; tables are made at the first start.")
    if revision > HEAD:
        detail = f"{where} has schema {revision}; this program knows up to {HEAD}."
        return Finding("database", "failed", detail, "Use the newer program that made it.")
    later = "" if revision == HEAD else f" It is brought to {HEAD} at the next start."
    return Finding("database", "ok", f"{where} answers and is whole, schema {revision}.{later}")


def _answers(url: str) -> bool:
    import httpx  # noqa: PLC0415 - only where a server may run

    try:
        return httpx.get(f"{url}/healthz", timeout=_WAIT_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _newest_moment(settings: Settings) -> datetime | None:
    """When something was last stored in the data folder's database; None where that is not known."""
    path = settings.data_dir / SQLITE_FILE
    if settings.database_url is not None or not path.exists():
        return None
    try:
        with closing(_readable(path)) as connection:
            found = connection.execute("SELECT max(recorded_at) FROM ism_feedback").fetchone()[0]
    except sqlite3.DatabaseError:  # another finding tells that
        return None
    return datetime.fromisoformat(found).replace(tzinfo=UTC) if found else None
