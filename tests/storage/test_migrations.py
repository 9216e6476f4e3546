import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Text, inspect, text
from sqlalchemy.exc import IntegrityError

from ism.domain.errors import StorageError
from ism.domain.market import Company, Exchange, Listing
from ism.storage import Store, dialects, migrations, open_postgres, open_sqlite
from ism.storage.feedback_schema import metadata

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def engine_for(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if database == "sqlite":
        return dialects.sqlite_engine(tmp_path / "x.sqlite3")
    return dialects.postgres_engine(dialects.postgres_url(request.getfixturevalue("postgres_url")))


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = engine_for(request.param, request, tmp_path)
    yield made
    made.dispose()


def described(engine: Engine) -> dict[str, object]:
    """All that the database tells of our tables, in an order that does not depend on how they were made."""
    look = inspect(engine)
    return {
        table: {
            "columns": [(c["name"], repr(c["type"]), c["nullable"], c["default"]) for c in look.get_columns(table)],
            "key": look.get_pk_constraint(table),
            "checks": sorted((c["name"], c["sqltext"]) for c in look.get_check_constraints(table)),
            "foreign": sorted(map(repr, look.get_foreign_keys(table))),
            "unique": sorted(map(repr, look.get_unique_constraints(table))),
            "indexes": sorted((i["name"], i["column_names"], i["unique"]) for i in look.get_indexes(table)),
        }
        for table in metadata.tables
        if look.has_table(table)
    }


def test_migrated_schema_is_that_of_the_metadata(engine: Engine) -> None:
    assert migrations.migrate(engine) is True
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
    migrated = described(engine)
    assert set(migrated) == set(metadata.tables)
    migrations.migrate(engine, migrations.BASE)
    metadata.create_all(engine)
    assert described(engine) == migrated  # also finds checks, which alembic does not compare


def test_identifiers_are_ordered_by_code_point_in_the_migrated_schema(engine: Engine) -> None:
    migrations.migrate(engine)
    keys = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.primary_key
        if isinstance(column.type, Text)
    }
    if engine.dialect.name == "postgresql":
        reflected = MetaData()
        reflected.reflect(engine)
        assert all(reflected.tables[t].c[c].type.collation == "C" for t, c in keys - {("ism_counter", "name")})


def test_down_and_up_again(engine: Engine) -> None:
    migrations.migrate(engine)
    with engine.begin() as connection:
        connection.execute(metadata.tables["ism_counter"].update().values(value=7))
    migrations.migrate(engine, migrations.BASE)
    assert described(engine) == {}
    assert migrations.migrate(engine) is True
    with engine.connect() as connection:
        counted = dict(connection.execute(metadata.tables["ism_counter"].select()).all())
        assert counted == {"market": 0, "feedback": 0, "label": 0, "fusion": 0}
    assert migrations.migrate(engine) is False


def test_a_request_logged_before_is_found_by_its_listing(engine: Engine) -> None:
    migrations.migrate(engine, "0001")
    logged = "INSERT INTO ism_request VALUES (:id, :offer, '{}', '2025-01-01')"
    with engine.begin() as connection:
        for key, offer in (("a", '{"offer_id": "ash"}'), ("b", '{"offer_id": null}'), ("c", "{}")):
            connection.execute(text(logged), {"id": key, "offer": offer})
    migrations.migrate(engine)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT request_id, offer_id FROM ism_request ORDER BY 1")).all()
    assert found == [("a", "ash"), ("b", None), ("c", None)]


def test_the_packaged_head_is_the_last_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_constraints_hold_below_the_checks_in_python(engine: Engine) -> None:
    migrations.migrate(engine)
    company = (
        "INSERT INTO ism_company VALUES"
        " ('{id}', 'n', NULL, NULL, {lat}, NULL, '', '', 'market', '2025-01-01', '2025-01-01')"
    )
    listing = (
        "INSERT INTO ism_listing (listing_id, company_id, kind, material, description, quantity_t_per_year,"
        " dataset, created_at, updated_at)"
        " VALUES ('l', '{company}', '{kind}', 'm', '', {quantity}, 'market', '2025-01-01', '2025-01-01')"
    )
    with engine.begin() as connection:
        connection.execute(text(company.format(id="a", lat=1)))
    bad = [
        company.format(id="b", lat=91),
        company.format(id="", lat=1),
        listing.format(company="gone", kind="offer", quantity=1),
        listing.format(company="a", kind="gift", quantity=1),
        listing.format(company="a", kind="offer", quantity=-1),
    ]
    if engine.dialect.name == "postgresql":
        bad.append(listing.format(company="a", kind="offer", quantity="'NaN'"))
    for statement in bad:
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text(statement))


def test_a_database_from_a_newer_program_is_refused(
    open_again: Callable[[], Store], request: pytest.FixtureRequest
) -> None:
    with open_again() as store:
        database = store._database  # type: ignore[attr-defined]  # to do what only another program can do
        with database.write() as connection:
            connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"revision '9999' is unknown.*newer program"):
        open_again()


def test_a_migration_that_breaks_references_is_undone_on_sqlite(tmp_path: Path) -> None:
    engine = dialects.sqlite_engine(tmp_path / "x.sqlite3")
    migrations.migrate(engine)
    with pytest.raises(StorageError, match="ism_listing"), dialects.without_foreign_keys(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO ism_listing (listing_id, company_id, kind, material, description, dataset, created_at,"
                " updated_at) VALUES ('l', 'gone', 'offer', 'm', '', 'market', '2025-01-01', '2025-01-01')"
            )
        )
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ism_listing")) == 0
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.postgres
def test_processes_that_start_together_migrate_once(postgres_url: str) -> None:
    program = (
        "import sys; from ism.storage import dialects, migrations\n"
        "engine = dialects.postgres_engine(dialects.postgres_url(sys.argv[1])); engine.connect().close()\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(migrations.migrate(engine))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    done = [child.communicate(timeout=60)[0].strip() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(done) == ["False", "False", "True"]


@pytest.mark.postgres
def test_a_shared_database_keeps_its_own_tables(postgres_url: str) -> None:
    """A marketplace's ``companies`` and another ``alembic_version`` lie beside ours; Supabase shows none of ours."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE companies (id int); CREATE TABLE alembic_version (version_num text)")
        connection.execute("INSERT INTO alembic_version VALUES ('of somebody else')")
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'anon'").fetchone() is None:
            connection.execute("CREATE ROLE anon")  # roles belong to the whole server, which other tests use, too
        try:
            connection.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon")
            with open_postgres(postgres_url) as store:
                store.bulk_upsert([Company("a", "A"), Listing("l", "a", "offer", "m"), Exchange("e", "a", "a", "m")])
            tables = [
                row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'ism_%'")
            ]
            assert set(tables) == {*metadata.tables, migrations.VERSION_TABLE}
            may = {
                t: connection.execute("SELECT has_table_privilege('anon', %s, 'SELECT')", [t]).fetchone()
                for t in tables
            }
            assert may == dict.fromkeys(tables, (False,))
            assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("of somebody else",)]
            assert connection.execute("SELECT count(*) FROM companies").fetchone() == (0,)
        finally:
            connection.execute("DROP OWNED BY anon")


def test_a_percent_sign_in_the_path_does_no_harm(tmp_path: Path) -> None:
    with open_sqlite(tmp_path / "100% data?#") as store:
        store.create(Company("a", "A"))
    assert (tmp_path / "100% data?#" / "ism.sqlite3").is_file()
