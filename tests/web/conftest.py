"""One site with a little of everything, and one browser, for all tests of the pages."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from browsing import Site, browser_path, browsing, tell
from playwright.sync_api import Browser
from seeding import seed_past

from bench.serving import served
from ism.app.wiring import Application, open_application
from ism.domain.market import Company, Exchange, Recommendation
from ism.domain.monitoring import Alert
from ism.domain.retraining import RetrainingJob
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.monitoring.alerts import acknowledge
from ism.settings import Settings

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'{{7*7}}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if browser_path() is None:
        pytest.skip("No Chromium is installed; `make test` says how to get one.")
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration market, feedback of three weeks that somebody tried to break pages with, and a past."""
    folder = tmp_path_factory.mktemp("site")
    settings = Settings(data_dir=folder, admin_key=ADMIN_KEY, feedback_turn_s=3600, _env_file=None)
    with open_application(settings, make_matcher=FakeMatcher) as application:
        application.auth.ensure_admin(ADMIN_KEY)
        application.store.bulk_upsert(
            [
                Company("evil", EVIL, "23.51", "DK", 55.0, 11.0),
                Company("works", "Aalborg Portland", "23.51", "DK", 57.0, 9.9),
                Exchange("evil", "evil", "works", EVIL, ewc="10 01 02", quantity_t_per_year=1000.0, status="operating"),
            ]
        )
        say_much(application)
        seed_past(application)
        write_everywhere(application)
        with served(application) as url:
            yield Site(url, application)


def say_much(application: Application) -> None:
    """Ratings and outcomes over three weeks, a burst, and letters that cannot be used."""
    now = datetime.now(UTC)
    clock = [now - timedelta(days=21)]
    orchestrator = AIFeedbackOrchestrator(
        application.store, application.settings, application.encoder, lambda: clock[0]
    )
    shown = [f"s{number}" for number in range(40)]
    application.store.log_recommendations(
        [
            Recommendation(name, "q", rank, "company", f"k{rank}", 0.5, 0.5, 0.5, {"matching": 0.6, "gnn": 0.4},
                           offer={"offer_id": "ash"}, created_at=clock[0])
            for rank, name in enumerate(shown, 1)
        ]
    )  # fmt: skip
    answered = {"material": "coal fly ash"}  # as the matcher of the tests answers
    application.store.log_recommendations(
        [
            Recommendation(name, "r", rank, "company", "works", 0.7, 0.5, 0.5, {"matching": 0.6}, offer=answered,
                           created_at=now)
            for rank, name in enumerate(("r-1", "r-2"), 1)
        ]
    )  # fmt: skip
    for day in range(21):
        clock[0] = now - timedelta(days=20 - day, minutes=1)
        tell(orchestrator, [rating(shown[(day + n) % 40], 1 + (day * n) % 5, f"actor {n}") for n in range(4)])
    tell(orchestrator, [rating(shown[n], 1, EVIL, EVIL) for n in range(40)])
    tell(orchestrator, [{"type": "match_outcome", "source": "user", "data": {"outcome": EVIL}}])
    orchestrator.loop.turn()
    orchestrator.close()


def write_everywhere(application: Application) -> None:
    """What somebody tried to break pages with, in every other text that reaches one."""
    now = datetime.now(UTC)
    application.auth.create(EVIL, "viewer")
    for rule in application.monitoring.rules.every()[:2]:
        cause = f"{rule.name}:evil"  # which no turn of the monitoring judges, so that none resolves it
        application.store.monitoring.open_alert(
            Alert(rule.name, cause, rule.name, rule.severity, "open", EVIL, EVIL, rule.link, 90.0, 80.0, now, now)
        )
    acknowledge(application.store, "memory", EVIL)
    job = RetrainingJob("evil", "matching", "manual", {"retraining_type": EVIL}, "REQUESTED", now)
    application.store.retraining.add_job(job)
    claim = application.store.retraining.claim("evil", EVIL, now, now + timedelta(minutes=1))
    application.store.retraining.move(claim, "FAILED", reason=EVIL)
    for model in ("rrf", "default_weighted_sum"):
        application.fusion.registry.use(model, actor=EVIL, reason=EVIL)
    application.monitoring.collector.collect()


def rating(recommendation: str, value: int, actor: str, text: str = "") -> dict[str, object]:
    data = {"model_name": "matching", "rating": value, "recommendation_id": recommendation, "actor_id": actor}
    return {"type": "user_feedback", "source": "user", "data": data | ({"feedback": text} if text else {})}
