"""deploy/supabase/ism.sql on a real PostgreSQL: who sees and writes what, as Supabase's own roles."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from marketplace_fakes import CEMENT, STEEL
from marketplace_project import SQL, reset
from postgrest_standin import Project
from psycopg import errors

ANNA, BEN, NOBODY = (f"00000000-0000-0000-0000-0000000000a{n}" for n in (1, 2, 3))
TABLES = ("ai_members", "ai_matches", "ai_feedback_events")
WRITES = [
    "insert into ai_members values (gen_random_uuid(), 'c')",
    "update ai_members set company_id = 'c'",
    "delete from ai_members",
    "insert into ai_matches (recommendation_id, request_id, rank, offer_id, company_id, receiver_kind, receiver_id,"
    " final_score, confidence, created_at) values ('r-9', 'q-9', 1, 'o', 'c', 'sector', 'nace:10', 0.5, 0.5, now())",
    "update ai_matches set final_score = 1",
    "delete from ai_matches",
    "insert into ai_feedback_events (event_id, event_type, source, data, event_time, recorded_at, priority)"
    " values ('e-9', 'error', 'system', '{}', now(), now(), 3)",
    "update ai_feedback_events set data = '{}'",
    "delete from ai_feedback_events",
    "truncate ai_matches",
]


@pytest.fixture(scope="module")
def filled(database: str) -> Iterator[Project]:
    """Anna belongs to the steel works, Ben to the cement works by his token, and somebody else to nothing."""
    reset(database)
    for name in ("updated_at.sql", "ism.sql"):  # again: that changes nothing
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute((SQL / name).read_text())
    project = Project(database)
    project.sql("insert into ai_members values (%s, %s)", ANNA, STEEL)
    for place, company in enumerate((STEEL, CEMENT, None), start=1):
        project.sql(
            "insert into ai_matches (recommendation_id, request_id, rank, offer_id, company_id, receiver_kind,"
            " receiver_id, final_score, confidence, created_at)"
            " values (%s, %s, 1, %s, %s, 'sector', 'nace:23.51', 0.5, 0.5, now())",
            f"r-{place}", f"q-{place}", f"o-{place}", company,
        )  # fmt: skip
        project.sql(
            "insert into ai_feedback_events (event_id, event_type, source, data, event_time, recorded_at, priority,"
            " company_id) values (%s, 'match_outcome', 'external', '{}', now(), now(), 3, %s)",
            f"e-{place}", company,
        )  # fmt: skip
    yield project
    project.close()


@contextmanager
def acting(project: Project, role: str, **claims: Any) -> Iterator[psycopg.Connection[Any]]:
    """A transaction as PostgREST begins it for a token."""
    with psycopg.connect(project.database) as connection:
        connection.execute(f"set local role {role}")
        told = json.dumps({"role": role, **claims})
        connection.execute("select set_config('request.jwt.claims', %s, true)", (told,))
        yield connection
        connection.rollback()


def seen(project: Project, role: str, **claims: Any) -> dict[str, list[str]]:
    """First column of every row that is seen, by table."""
    with acting(project, role, **claims) as connection:
        tables = ("ai_matches", "ai_current_matches", "ai_feedback_events")
        return {name: [row[0] for row in connection.execute(f"select * from {name} order by 1")] for name in tables}


@pytest.mark.parametrize("table", [*TABLES, "ai_current_matches"])
def test_anon_sees_nothing(filled: Project, table: str) -> None:
    with acting(filled, "anon") as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(f"select * from {table}")


def test_a_member_sees_the_rows_of_the_own_company_alone(filled: Project) -> None:
    mine = {"ai_matches": ["r-1"], "ai_current_matches": ["r-1"], "ai_feedback_events": ["e-1"]}
    assert seen(filled, "authenticated", sub=ANNA) == mine
    by_token = seen(filled, "authenticated", sub=BEN, app_metadata={"company_id": CEMENT})
    assert by_token == {"ai_matches": ["r-2"], "ai_current_matches": ["r-2"], "ai_feedback_events": ["e-2"]}


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": NOBODY},
        {},
        {"sub": NOBODY, "user_metadata": {"company_id": STEEL}},  # users write this one themselves
        {"sub": NOBODY, "company_id": STEEL},
        {"sub": NOBODY, "app_metadata": {"company_id": ""}},
        {"sub": NOBODY, "app_metadata": "x"},
    ],
)
def test_who_belongs_to_no_company_sees_nothing(filled: Project, claims: dict[str, Any]) -> None:
    assert set(map(tuple, seen(filled, "authenticated", **claims).values())) == {()}


def test_a_member_sees_the_own_memberships_alone(filled: Project) -> None:
    with acting(filled, "service_role") as connection:
        connection.execute("insert into ai_members values (%s, %s)", (BEN, STEEL))
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps({"sub": ANNA}),))
        assert [str(row[0]) for row in connection.execute("select user_id from ai_members")] == [ANNA]


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_else_writes(filled: Project, role: str, statement: str) -> None:
    with acting(filled, role, sub=ANNA) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("statement", WRITES[:-1])
def test_the_service_role_writes(filled: Project, statement: str) -> None:
    with acting(filled, "service_role") as connection:
        assert connection.execute(statement).rowcount > 0


def test_the_service_role_sees_everything(filled: Project) -> None:
    assert seen(filled, "service_role")["ai_matches"] == ["r-1", "r-2", "r-3"]


def test_every_table_has_row_level_security(filled: Project) -> None:
    rows = filled.sql("select relname from pg_class where relname like 'ai\\_%' and relkind = 'r' and relrowsecurity")
    assert {row["relname"] for row in rows} == set(TABLES)


def test_anon_may_not_ask_for_companies(filled: Project) -> None:
    with acting(filled, "anon") as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute("select ai_company_ids()")


def test_updated_at_follows_changes_whatever_is_written_into_it(filled: Project) -> None:
    filled.sql("update companies set name = 'new', updated_at = '2000-01-01' where id = %s", STEEL)
    found = filled.sql("select updated_at > now() - interval '1 hour' as fresh from companies where id = %s", STEEL)
    assert found == [{"fresh": True}]
