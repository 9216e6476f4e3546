"""The connector as a supervised part, on the command line, over HTTP and in `ism doctor`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from marketplace_fakes import STEEL
from postgrest_standin import Project, wait_until
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ism.app import doctor, wiring
from ism.app.cli.root import app
from ism.app.http.app import create_app
from ism.app.wiring import open_application
from ism.domain.errors import ConfigurationError
from ism.settings import Settings


@pytest.fixture
def client(connected: Settings) -> Iterator[TestClient]:
    with open_application(connected, make_matcher=FakeMatcher) as application:
        application.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(application), headers={"X-API-Key": ADMIN_KEY}) as client:
            yield client


def part(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/readyz").json()["components"]["marketplace"]
    return found


def test_the_server_exchanges_by_itself_and_says_how_it_went(project: Project, client: TestClient) -> None:
    wait_until(lambda: client.get("/api/marketplace").json()["stored"].get("listing") == 4)
    wait_until(lambda: part(client)["state"] == "ok")
    assert part(client)["needed"] is False
    assert client.get(f"/api/companies/{STEEL}").json()["name"] == "Stahlwerk"
    project.sql("update companies set name = 'Stahlwerk Nord' where id = %s", STEEL)
    wait_until(lambda: client.get(f"/api/companies/{STEEL}").json()["name"] == "Stahlwerk Nord")
    status = client.get("/api/marketplace").json()
    assert (status["failure"], status["last"]["finished"]) == (None, True)


def test_a_column_that_is_missing_is_named_while_the_server_answers(project: Project, connected: Settings) -> None:
    project.sql("alter table companies drop column industry")
    with (
        open_application(connected, make_matcher=FakeMatcher) as application,
        TestClient(create_app(application)) as client,
    ):
        wait_until(lambda: part(client)["state"] == "degraded")
        assert "companies has no column 'industry'" in part(client)["detail"]
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["mode"]) == (200, "degraded")


@pytest.mark.parametrize("name", ["supabase_service_role_key", "supabase_url"])
def test_without_both_variables_everything_stays_here(connected: Settings, name: str) -> None:
    given = connected.model_copy(update={name: None})
    assert not given.connects_marketplace
    assert given.starts_with_demo
    with open_application(given, make_matcher=FakeMatcher, warm=False) as application:
        assert application.marketplace is None
        with TestClient(create_app(application)) as client:
            assert "marketplace" not in client.get("/readyz").json()["components"]


def test_the_demonstration_market_stays_out_of_a_real_one_unless_it_is_asked_for(connected: Settings) -> None:
    assert not connected.starts_with_demo
    assert Settings(**{**connected.model_dump(exclude_unset=True), "demo_market": True}).starts_with_demo


@pytest.fixture
def command(connected: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    key = connected.supabase_service_role_key
    assert key is not None
    monkeypatch.setenv("SUPABASE_URL", str(connected.supabase_url))
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", key.get_secret_value())
    monkeypatch.setenv("ISM_DATA_DIR", str(connected.data_dir))
    monkeypatch.setattr(wiring, "_match_service", FakeMatcher)
    return CliRunner(env={"COLUMNS": "160"})


def test_ism_sync_checks_and_exchanges_once(project: Project, command: CliRunner) -> None:
    said = command.invoke(app, ["sync", "--check"])
    assert said.exit_code == 0, said.output
    assert "symbiotic_matches" in said.output
    assert "written" in said.output
    done = command.invoke(app, ["sync", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"]["written"] == 9
    assert "m3" in command.invoke(app, ["sync", "--whole"]).output
    project.sql("alter table materials drop column unit")
    refused = command.invoke(app, ["sync", "--check"])
    assert (refused.exit_code, "materials has no column 'unit'" in refused.output) == (1, True)


def test_ism_sync_without_a_marketplace_says_what_to_set(command: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPABASE_SERVICE_ROLE_KEY")
    for options in (["sync"], ["sync", "--check"]):
        refused = command.invoke(app, options)
        assert (refused.exit_code, "SUPABASE_SERVICE_ROLE_KEY" in refused.output) == (1, True)


def test_the_doctor_asks_the_marketplace(project: Project, connected: Settings) -> None:
    assert doctor.marketplace(connected).verdict == "ok"
    project.sql("drop trigger ai_touch on companies; alter table companies drop column updated_at")
    assert doctor.marketplace(connected).verdict == "warning"
    project.sql("drop table ai_feedback_events")
    finding = doctor.marketplace(connected)
    assert (finding.verdict, "ai_feedback_events" in finding.detail) == ("failed", True)
    assert doctor.marketplace(connected.model_copy(update={"supabase_url": None})).verdict == "ok"


def test_what_cannot_be_used_is_told_before_the_server_listens(connected: Settings) -> None:
    wrong = connected.model_copy(update={"supabase_url": "http://project.example"})
    with (
        open_application(wrong, make_matcher=FakeMatcher, warm=False) as application,
        pytest.raises(ConfigurationError, match="SUPABASE_URL"),
    ):
        create_app(application)
