"""Panels and the time range of the address: they follow it, or say what they show instead."""

from datetime import UTC, datetime, timedelta

import numpy as np
from starlette.testclient import TestClient

from ism.app.web.flows import Flows
from ism.app.web.page import Asked
from ism.app.web.period import read_period
from ism.app.web.views import PAGES
from ism.app.wiring import Application
from ism.domain.feedback import RetrainingTrigger
from ism.domain.fusion import MaturedOutcomes
from ism.domain.market import Company, Exchange
from ism.domain.retraining import Deployment, LedgerEntry


def test_every_panel_follows_the_time_range_or_says_what_it_shows_instead(application: Application) -> None:
    asked = Asked(application, Flows(application.store), read_period({}, datetime.now(UTC)), may_manage=True)

    class Watched:
        """What a view is asked with, and whether it looked at the period."""

        looked = False

        def __getattr__(self, name: str) -> object:
            self.looked |= name == "period"
            return getattr(asked, name)

    for page in PAGES.values():
        for name, make in page.panels.items() if page.timed else ():
            watched = Watched()
            make(watched)  # type: ignore[arg-type]  # it answers all that is asked of it
            assert watched.looked != (name in page.whole), f"{page.name}/{name}"
        assert page.timed or page.whole[""]


def test_the_ledger_the_weights_and_the_decisions_follow_the_time_range(
    client: TestClient, application: Application
) -> None:
    now, store = datetime.now(UTC), application.store
    for days in (2, 40):
        at = now - timedelta(days=days)
        moved = LedgerEntry("matching", store.retraining.deployment("matching").generation + 1, "withdraw", None, None,
                            "ann", f"{days} days", at)  # fmt: skip
        store.retraining.deploy(moved, Deployment("matching", moved.generation))
        outcome = MaturedOutcomes([f"r{days}"], {"matching": np.array([0.9])}, np.ones(1), np.ones(1), [at])
        application.fusion.observe(outcome)
        decision = RetrainingTrigger(
            f"t{days}", "matching", "manual", "manual", "fired", f"{days} days", f"f{days}", decided_at=at
        )
        with store.judging() as tables:
            tables.triggers.add_decisions([decision])

    def rows(panel: str, query: str) -> int:
        return len(client.get(f"/panels/{panel}.json?{query}").json()["rows"])

    panels = ("models/ledger", "models/weights", "feedback/triggers")
    assert [rows(panel, "range=7d") for panel in panels] == [1, 1, 1]
    assert [rows(panel, "range=90d") for panel in panels] == [2, 2, 2]
    for panel in panels:
        assert "in this time" in client.get(f"/panels/{panel}.json?range=1h").json()["empty"]


def test_a_time_between_two_moments_stays_with_filters_and_links(client: TestClient) -> None:
    text = client.get("/feedback?from=2026-03-01T00:00&to=2026-03-02T12:30&letters=replayed").text
    assert 'name="from" required value="2026-03-01T00:00"' in text
    assert 'name="to" value="2026-03-02T12:30"' in text
    between, filters = text.split('class="between"')[1].split('class="filters"')
    assert '<input type="hidden" name="letters" value="replayed">' in between
    assert '<input type="hidden" name="to" value="2026-03-02T12:30:00+00:00">' in filters
    assert 'class="clear" href="/feedback?from=2026-03-01T00%3A00%3A00%2B00%3A00&amp;to=' in filters
    assert client.get("/feedback?from=2026-11-01T00:00&to=").status_code == 200  # an empty field is none


def test_links_of_the_network_keep_the_time_of_whoever_asks(client: TestClient, application: Application) -> None:
    application.store.bulk_upsert([Company("a", "Plant"), Company("b", "Works"), Exchange("x", "a", "b", "steam")])
    for day in ("01", "02"):
        text = client.get(f"/panels/network/links?from=2026-03-{day}&to=2026-03-05").text
        assert f"company=a&amp;from=2026-03-{day}" in text
