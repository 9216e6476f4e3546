"""SIGKILL while a database is brought up to date: it is the old one or the new one, with every row."""

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import migrator
import psycopg
import pytest
from killing import killed
from sqlalchemy import Engine, inspect, text

from ism.storage import migrations
from ism.storage.feedback_schema import metadata

OLD, ROWS = "0001", 300
Shape = dict[str, list[str]]


def shape(engine: Engine) -> Shape:
    """Tables and their columns."""
    found = inspect(engine)
    tables = [name for name in found.get_table_names() if name != migrations.VERSION_TABLE]
    return {table: sorted(column["name"] for column in found.get_columns(table)) for table in sorted(tables)}


def fill(engine: Engine) -> None:
    migrations.migrate(engine, OLD)
    logged = text("INSERT INTO ism_request VALUES (:id, :offer, '{}', '2025-01-01')")
    with engine.begin() as connection:
        connection.execute(logged, [{"id": f"r{n}", "offer": f'{{"offer_id": "o{n}"}}'} for n in range(ROWS)])


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM ism_request")).scalar_one())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Places with a database of the first revision, a new one each time; the one before is thrown away."""
    numbers = itertools.count()
    if request.param == "sqlite":
        base = tmp_path / "base.sqlite3"
        engine = migrator.engine_at(str(base))
        fill(engine)
        engine.dispose()
        return lambda: str(shutil.copyfile(base, tmp_path / f"run-{next(numbers)}.sqlite3"))
    server, url = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_url")
    engine = migrator.engine_at(url)
    fill(engine)
    base_name = str(engine.url.database)
    engine.dispose()

    def copied() -> str:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS migrated WITH (FORCE)")
            connection.execute(f"CREATE DATABASE migrated TEMPLATE {base_name} STRATEGY FILE_COPY")
        return str(url.replace(f"/{base_name}?", "/migrated?"))

    return copied


@pytest.mark.parametrize("kills", [3, pytest.param(300, marks=pytest.mark.slow)])
def test_kill_9_leaves_the_old_schema_or_the_new_one(fresh: Callable[[], str], kills: int) -> None:
    when, found = random.Random(kills), set[str]()
    for number in range(kills):
        place = fresh()
        told = killed(migrator.migrate_once, (place,), when.uniform(0.0, 0.3) if number else 0.0)
        engine = migrator.engine_at(place)
        with engine.connect() as connection:
            revision = migrations.current_revision(connection)
        found.add(str(revision))
        assert revision in ({migrations.HEAD} if told else {OLD, migrations.HEAD})
        assert (set(shape(engine)) == set(metadata.tables)) == (revision == migrations.HEAD)
        assert rows(engine) == ROWS
        migrations.migrate(engine)
        assert shape(engine) == {
            name: sorted(column.name for column in table.columns) for name, table in metadata.tables.items()
        }
        assert rows(engine) == ROWS
        engine.dispose()
    assert OLD in found, "no kill came before the end of a migration"
