from pathlib import Path

from bench import pages
from ism.app.web.views import PAGES
from ism.app.wiring import open_application
from ism.domain.market import Company, Exchange
from ism.settings import Settings


def test_every_panel_of_a_filled_store_is_timed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, demo_market=False, retraining_enabled=False, _env_file=None)
    with open_application(settings, make_matcher=pages._no_engines, warm=False) as application:
        application.auth.ensure_admin(pages._KEY)
        pages.fill(application, companies=20, exchanges=30, days=1)
        pages.ask(application, 5)
        assert application.store.count(Company) == 20
        assert application.store.count(Exchange) == 30
        assert len(application.store.retraining.jobs()) == 5
        with pages.served(application) as url:
            found = pages.panels(url, rounds=1)
    assert set(found) == {f"{page.name} {name}" for page in PAGES.values() for name in page.panels}
    assert all(0 < one["median"] <= one["p95"] for one in found.values())


def test_the_section_names_the_slowest_panel_and_what_was_asked() -> None:
    panels = {"overview numbers": {"median": 10.0, "p95": 20.0}, "network map": {"median": 30.0, "p95": 150.4}}
    found = {"panels": panels, "browser": {"first_page_s": 0.71, "live_s": 0.9}, "growth_mib": 0.2}
    text = pages.section(found, "how it ran")
    assert "| network map | 30 | 150 |" in text
    assert "Slowest panel: 150 ms (asked: below 200 ms)." in text
    assert "First page drawn after 0.71 s (asked: 1.5 s)." in text
    assert "*simulated*" in text
    assert "No Chromium" in pages.section({**found, "browser": None}, "how it ran")
