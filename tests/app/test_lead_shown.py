"""Who leads is told; what must happen once waits where another process leads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.wiring import Application, open_application
from ism.monitoring.metrics import Collector, SystemSampler
from ism.monitoring.requests import RequestLog
from ism.settings import Settings
from ism.storage import open_postgres
from ism.storage.lead import NAME


@dataclass
class Told:
    """Leads when it is told to."""

    leads: bool = False
    asked: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def term(self) -> Iterator[bool]:
        self.asked.set()
        yield self.leads


def test_on_sqlite_the_owner_of_the_folder_leads(client: TestClient, application: Application) -> None:
    told = client.get("/readyz").json()
    assert told["leader"]["here"] is True
    assert told["leader"]["since"] is None
    assert "does everything itself" in told["components"]["lead"]["detail"]
    assert "does everything itself" in client.get("/system").text
    assert application.lead.leads


@pytest.mark.postgres
def test_on_postgres_one_is_elected_and_another_waits(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"data_dir": tmp_path / "data", "database_url": postgres_url, "demo_market": False, "lead_lease_s": 1}
    settings = Settings(**values, _env_file=None)
    with open_postgres(postgres_url) as other, open_application(settings, make_matcher=FakeMatcher) as application:
        first = other.leases.take(NAME, "another one", 3600)
        application.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(application), headers={"X-API-Key": ADMIN_KEY}) as client:
            told = client.get("/readyz").json()
            assert (told["leader"]["here"], told["leader"]["replica"]) == (False, "another one")
            assert told["status"] == "ready"
            assert "another replica" in told["components"]["lead"]["detail"]
            assert "another one leads" in client.get("/system").text
            assert application.feedback.loop.lead is application.lead
            other.leases.release(first)
            application.lead.look()  # type: ignore[union-attr]  # elections are held on PostgreSQL
            told = client.get("/readyz").json()
            assert told["leader"]["here"] is True
            assert datetime.fromisoformat(told["leader"]["since"]).tzinfo is not None


def test_feedback_is_judged_and_requests_are_handed_on_by_the_leader_alone(application: Application) -> None:
    loop, lead, turns = application.feedback.loop, Told(), list[int]()
    loop.lead, loop.deliver = lead, turns.append  # type: ignore[assignment]  # whoever is handed a request notes it
    application.store.judging  # noqa: B018 - opened
    loop.triggering.ask("matching", "by hand", "test")
    loop.start(0.01)
    assert lead.asked.wait(20)
    loop.stop()
    assert loop.turn().delivered == 0
    lead.leads = True
    assert loop.turn().delivered == 1


def test_all_measure_and_the_leader_alone_judges_alerts(application: Application, tmp_path: Path) -> None:
    lead, judged = Told(), list[datetime]()
    sampler = SystemSampler(RequestLog(), tmp_path)
    collector = Collector(application.store, sampler, {"alerts": judged.append}, lead=lead)
    now = datetime.now(UTC)
    collector.collect(now)
    assert judged == []
    assert application.store.monitoring.metric_names("cpu_percent") == ["cpu_percent"]
    lead.leads = True
    collector.collect(now)
    assert judged == [now]


def test_backups_are_made_by_the_leader_alone(application: Application) -> None:
    service, lead = application.backups, Told()
    service.lead, service.interval_s = lead, 0.01
    service.start()
    assert lead.asked.wait(20)
    service.stop()
    assert service.list() == []


def test_what_others_promoted_is_looked_for(application: Application) -> None:
    followed: list[int] = []
    application.matcher.follow = lambda: followed.append(1)  # type: ignore[attr-defined]  # as the real one has it
    application.follow()
    assert followed == [1]
