"""A Supabase project on loopback: a marketplace's tables, ours, and the HTTP API before them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from marketplace_fakes import Opened
from marketplace_project import reset
from postgrest_standin import Project, key_of

from ism.settings import Settings


@pytest.fixture(scope="session")
def database(postgres_server: str) -> str:
    """URL of a database of a project, which `reset` fills."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE marketplace")
    return postgres_server.replace("/postgres?", "/marketplace?")


@pytest.fixture
def project(database: str) -> Iterator[Project]:
    reset(database)
    opened = Project(database)
    yield opened
    opened.close()


@pytest.fixture
def connected(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the project's address and key."""
    monkeypatch.chdir(tmp_path)  # a developer's .env has no place here
    return Settings(
        data_dir=tmp_path / "data",
        feedback_turn_s=3600,  # tests judge feedback when they want to
        supabase_url=project.url,
        supabase_service_role_key=key_of("service_role"),
        marketplace_page_rows=3,  # so that there are several pages
        marketplace_interval_s=1,
    )


@pytest.fixture
def opened(connected: Settings) -> Iterator[Callable[..., Opened]]:
    """Opens store and connector, again after they were closed; with other settings where they are given."""
    every: list[Opened] = []

    def open_(**changes: Any) -> Opened:
        for each in every:
            each.close()
        every.append(Opened(connected.model_copy(update=changes)))
        return every[-1]

    yield open_
    for each in every:
        each.close()
