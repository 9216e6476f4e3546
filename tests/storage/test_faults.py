import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from ism.domain.errors import ConfigurationError, ConflictError, StorageError, StorageUnavailableError
from ism.domain.market import Company, Recommendation
from ism.settings import Settings
from ism.storage import Store, dialects, open_postgres, open_sqlite, open_store
from ism.storage.database import Database
from ism.storage.schema import company
from ism.storage.sql_store import SqlStore


def test_settings_choose_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with open_store(Settings(_env_file=None, data_dir=tmp_path / "a" / "b")) as store:
        assert store.location == f"sqlite:///{tmp_path}/a/b/ism.sqlite3"
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


@pytest.mark.postgres
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_spelling_of_a_postgres_url_opens(scheme: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "DATABASE_URL", postgres_url.replace("postgresql:", scheme + ":").replace("postgres:@", "postgres:pa55@")
    )
    with open_store(Settings(_env_file=None)) as store:
        store.ping()
        assert store.location.startswith("postgresql+psycopg://postgres:***@")


@pytest.mark.parametrize("url", ["mysql://u:pa55@h/d", "pa55", "postgresql://u:pa55@h:port/d", "sqlite:///pa55", ""])
def test_another_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: .*postgresql://user") as refused:
        open_postgres(url)
    assert "pa55" not in str(refused.value)


def test_an_unreachable_server_is_named_with_a_remedy() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: connections are refused
        url = f"postgresql://me:pa55@127.0.0.1:{unused.getsockname()[1]}/market"
        with pytest.raises(StorageUnavailableError, match=r"refused.*Check that the database runs") as refused:
            open_postgres(url)
    assert "pa55" not in str(refused.value)


@pytest.mark.postgres
def test_a_missing_database_is_named(postgres_server: str) -> None:
    with pytest.raises(StorageError, match=r'"nowhere" does not exist.*correct its name in DATABASE_URL'):
        open_postgres(postgres_server.replace("/postgres?", "/nowhere?"))


@pytest.mark.postgres
def test_a_lost_connection_fails_once_and_leaves_nothing(postgres_url: str, postgres_server: str) -> None:
    def values() -> Iterator[Company]:
        yield from (Company(f"c{number}", "n") for number in range(1_500))
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ism'")
        yield from (Company(f"d{number}", "n") for number in range(1_500))

    with open_postgres(postgres_url) as store:
        with pytest.raises(StorageUnavailableError, match=r"Check that the database runs.*retry\.$"):
            store.bulk_upsert(values())
        assert store.count(Company) == 0
        store.create(Company("a", "A"))
        assert store.generation() == 1


@pytest.mark.postgres
def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: str) -> None:
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StorageError, match=r"server_encoding: 'LATIN1'.*UTF8"):
        open_postgres(postgres_server.replace("/postgres?", "/latin?"))


@pytest.mark.postgres
def test_a_writer_of_another_process_is_waited_for_only_so_long(postgres_url: str) -> None:
    with open_postgres(postgres_url) as first:
        second = SqlStore(Database(dialects.postgres_engine(dialects.postgres_url(postgres_url)), write_wait_s=0.2))

        def values() -> Iterator[Company]:
            with pytest.raises(StorageError, match="Another write is running"):
                second.create(Company("b", "B"))
            yield Company("a", "A")

        first.bulk_upsert(values())
        second.create(Company("b", "B"))
        assert first.count(Company) == 2
        assert first.generation() == 2
        second.close()


def test_a_write_within_a_bulk_write_fails_instead_of_hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dialects._PRAGMAS, "busy_timeout", ("100", 100))  # type: ignore[arg-type]  # a dict behind a Mapping
    with open_sqlite(tmp_path) as store:

        def values() -> Iterator[Company]:
            yield Company("a", "A")
            store.create(Company("b", "B"))

        with pytest.raises(StorageError, match="never write from within a bulk write"):
            store.bulk_upsert(values())
        assert store.count(Company) == 0


@pytest.mark.parametrize(
    "pragma", ["synchronous = OFF", "foreign_keys = OFF", "journal_mode = DELETE", "busy_timeout = 0"]
)
def test_each_unsafe_sqlite_setting_is_refused_by_name(pragma: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x", isolation_level=None)
    dialects._on_sqlite_connect(connection, None)
    connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(StorageError, match=f"sqlite {pragma.split(maxsplit=1)[0]}: "):
        dialects.check_pragmas(connection)
    connection.close()


def test_a_place_where_wal_is_impossible_is_refused() -> None:
    engine = dialects.sqlite_engine(Path(":memory:"))
    with pytest.raises(StorageError, match=r"journal_mode: is 'memory' and must be 'wal'"):
        engine.connect()


def test_an_old_sqlite_is_refused() -> None:
    with pytest.raises(StorageError, match=r"3\.31\.1 is too old"):
        dialects.check_sqlite_version((3, 31, 1))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"data_dir: .*file.*cannot be made.*ISM_DATA_DIR"):
        open_sqlite(tmp_path / "file" / "data")


def test_a_lost_counter_is_noticed(open_again: Callable[[], Store]) -> None:
    with open_again() as store:
        with store._database.write() as connection:  # type: ignore[attr-defined]  # damage that no method does
            connection.execute(text("DELETE FROM ism_counter"))
        for call in (store.generation, lambda: store.create(Company("a", "A"))):
            with pytest.raises(StorageError, match="ism_counter"):
                call()
        assert store.count(Company) == 0


def test_an_error_shows_no_stored_value_in_its_traceback(open_again: Callable[[], Store]) -> None:
    shown = [Recommendation(f"r{n}", "request", 1, "company", "a customer", 0.5, 0.5, 0.5) for n in range(2)]
    with open_again() as store, pytest.raises(ConflictError) as refused:
        store.log_recommendations(shown)
    trace = "".join(traceback.format_exception(refused.value))
    assert "INSERT INTO ism_recommendation" in trace
    assert "a customer" not in trace


def test_rows_remember_when_they_came_and_when_they_changed(open_again: Callable[[], Store]) -> None:
    def times() -> tuple[datetime, datetime]:
        with store._database.read() as connection:  # type: ignore[attr-defined]  # no method shows these times yet
            return tuple(connection.execute(select(company.c.created_at, company.c.updated_at)).one())

    with open_again() as store:
        start = datetime.now(UTC)
        store.create(Company("a", "A"))
        born, changed = times()
        assert start <= born == changed <= datetime.now(UTC)
        for write in (
            lambda: store.bulk_upsert([Company("a", "B")]),
            lambda: store.update(Company, "a", {"name": "C"}),
        ):
            before = changed
            write()
            same, changed = times()
            assert same == born
            assert changed > before


def test_data_survives_reopening(open_again: Callable[[], Store]) -> None:
    with open_again() as store:
        store.create(Company("a", "A"))
    with open_again() as store:
        assert store.get(Company, "a") == Company("a", "A")
        assert store.generation() == 1


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import ism.storage", {"sqlalchemy", "alembic", "psycopg"}),
        ("from ism.storage import *; from pathlib import Path; open_sqlite(Path(sys.argv[1]))", {"alembic", "psycopg"}),
    ],
)
def test_libraries_load_when_they_are_needed(program: str, absent: set[str], tmp_path: Path) -> None:
    open_sqlite(tmp_path).close()
    show = f"import sys; {program}; print(*(name for name in {sorted(absent)!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", show, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_up_to_date_store_opens_quickly(tmp_path: Path) -> None:
    open_sqlite(tmp_path).close()
    best = 9.0
    for _ in range(3):
        start = time.perf_counter()
        open_sqlite(tmp_path).close()
        best = min(best, time.perf_counter() - start)
    assert best < 0.3


IMPORT_A_MILLION = """
import resource, sys
from pathlib import Path
from ism.domain.market import Company, Listing
from ism.storage import open_postgres, open_sqlite
store = open_postgres(sys.argv[1]) if ":" in sys.argv[1] else open_sqlite(Path(sys.argv[1]))
def values():
    for c in range(100_000):
        yield Company(f"c{c}", f"Company {c}", "23.51", "DE", 50.0, 8.0, "some words of description", "test")
        for l in range(9):
            yield Listing(f"l{c}-{l}", f"c{c}", "offer", "fly ash", "dry, from hard coal", "10 01 02", 1e3, 5.0, False)
result = store.bulk_upsert(values())
with store.read_market() as reader:
    rows = sum(1 for _ in reader.rows(Listing))
print(result.created, rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_million_rows_fit_in_512_mb(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    where = str(tmp_path) if database == "sqlite" else request.getfixturevalue("postgres_url")
    done = subprocess.run([sys.executable, "-c", IMPORT_A_MILLION, where], capture_output=True, text=True, check=True)
    created, rows, peak_mib = map(int, done.stdout.split())
    assert (created, rows) == (1_000_000, 900_000)
    assert peak_mib < 512
