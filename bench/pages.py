"""How long the pages take on a large market, and what anonymous visitors cost."""

from __future__ import annotations

import asyncio
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import psutil
from tqdm import tqdm

from bench.monitoring import fill_metrics
from bench.serving import served
from bench.setup import Options
from ism.app.web.views import PAGES
from ism.app.wiring import Application, Matcher, open_application
from ism.data import knowledge
from ism.domain.market import Company, Exchange, Recommendation
from ism.domain.retraining import RetrainingJob
from ism.engines import catalog
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings

TITLE = "Pages: 5,000 companies, 10,000 exchanges, 10,000 jobs, 90 days of feedback and metrics"
NEEDS_DATA = False
PANEL_MS, FIRST_PAGE_S, LIVE_S, GROWTH_MIB = 200.0, 1.5, 2.0, 10.0
NOTES = """\
The market, the feedback and the metrics are *simulated*. A panel is asked for over HTTP with five time ranges in turn,
from another thread of the process that serves; its slowest part is told as the 95th percentile of all requests. The
first page is timed in headless Chromium from the request to the moment at which every chart has been drawn. *Event to
pixel* is the time from handing in a rating to its number on the open page. *Growth* is the resident memory that 500
requests without a key leave behind.
"""
_RANGES = ("1h", "24h", "7d", "30d", "90d")
_KEY = "a-key-for-the-benchmark-of-pages"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def run(options: Options) -> dict[str, Any]:
    """Fill a store, serve it, and measure."""
    started = time.perf_counter()
    companies, exchanges, days, rounds = (300, 600, 5, 2) if options.fast else (5_000, 10_000, 90, 8)
    jobs = exchanges
    with tempfile.TemporaryDirectory(prefix="ism-") as name:
        settings = Settings(
            data_dir=Path(name), demo_market=False, retraining_enabled=False, feedback_turn_s=1, _env_file=None
        )
        with open_application(settings, make_matcher=_no_engines, warm=False) as application:
            application.auth.ensure_admin(_KEY)
            fill(application, companies, exchanges, days)
            ask(application, jobs)
            fill_metrics(application.store, days)
            with served(application) as url:
                found = {
                    "panels": panels(url, rounds),
                    "browser": in_browser(url, application) if browser() else None,
                    "growth_mib": growth(url),
                }
    limits = {"panel_ms": PANEL_MS, "first_page_s": FIRST_PAGE_S, "live_s": LIVE_S, "growth_mib": GROWTH_MIB}
    size = {"companies": companies, "exchanges": exchanges, "jobs": jobs, "days": days}
    return {
        "protocol": "pages",
        "simulated": True,
        **size,
        **found,
        "limits": limits,
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    lines = [f"## {TITLE}", "", NOTES, about, "", "| panel | median, ms | p95, ms |", "|---|---|---|"]
    lines += [f"| {name} | {one['median']:.0f} | {one['p95']:.0f} |" for name, one in found["panels"].items()]
    worst = max(one["p95"] for one in found["panels"].values())
    seen = found["browser"]
    lines += ["", f"Slowest panel: {worst:.0f} ms (asked: below {PANEL_MS:.0f} ms)."]
    if seen is None:
        lines.append("No Chromium was found, so nothing was drawn.")
    else:
        lines.append(f"First page drawn after {seen['first_page_s']:.2f} s (asked: {FIRST_PAGE_S} s).")
        lines.append(f"Event to pixel: {seen['live_s']:.2f} s at most (asked: {LIVE_S:.0f} s).")
    lines.append(f"500 requests without a key left {found['growth_mib']:.1f} MiB (asked: below {GROWTH_MIB:.0f} MiB).")
    return "\n".join(lines) + "\n"


def fill(application: Application, companies: int, exchanges: int, days: int) -> None:
    """A market over Europe, and ten statements a day."""
    rng, rules = np.random.default_rng(0), knowledge.rules()
    drawn = rng.integers(len(rules), size=companies)
    firms = [
        Company(f"c{i}", f"Company {i}", _class(rules[rule].receiver_nace), "DE", *_place(rng))
        for i, rule in enumerate(drawn)
    ]
    ends = rng.integers(companies, size=(exchanges, 2))
    given = [
        Exchange(f"x{i}", f"c{one}", f"c{two}", rules[drawn[two]].material, ewc=next(iter(rules[drawn[two]].ewc), None),
                 quantity_t_per_year=float(rng.integers(10, 50_000)), status="operating")
        for i, (one, two) in enumerate(ends)
    ]  # fmt: skip
    application.store.bulk_upsert([*firms, *given])
    clock = [datetime.now(UTC) - timedelta(days=days)]
    orchestrator = AIFeedbackOrchestrator(
        application.store, application.settings, application.encoder, lambda: clock[0]
    )
    shown = [
        Recommendation(f"s{n}", f"q{n}", 1, "company", f"c{n}", 0.5, 0.5, 0.5, created_at=clock[0]) for n in range(200)
    ]
    application.store.log_recommendations(shown)
    for day in tqdm(range(days), desc="days", leave=False):
        clock[0] = datetime.now(UTC) - timedelta(days=days - day - 1, minutes=1)
        asyncio.run(
            orchestrator.ingest_batch([rating(int(rng.integers(200)), int(rng.integers(1, 6))) for _ in range(100)])
        )
    orchestrator.loop.turn()
    orchestrator.close()


def ask(application: Application, jobs: int) -> None:
    """Requests to retrain; all but one of each model are told to have joined it."""
    names, now = catalog.names(), datetime.now(UTC)
    for number in tqdm(range(jobs), desc="jobs", leave=False):
        at = now - timedelta(minutes=jobs - number)
        job = RetrainingJob(
            f"j{number}", names[number % len(names)], "feedback", {"retraining_type": "full"}, "REQUESTED", at
        )
        application.store.retraining.add_job(job)


def rating(about: int, value: int) -> dict[str, Any]:
    """One rating."""
    data = {"model_name": "matching", "rating": value, "recommendation_id": f"s{about}", "actor_id": f"actor {about}"}
    return {"type": "user_feedback", "source": "user", "data": data}


def panels(url: str, rounds: int) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of every panel, in milliseconds."""
    found = {}
    with httpx.Client(base_url=url, headers={"X-API-Key": _KEY}, timeout=60) as client:
        for page in tqdm(PAGES.values(), desc="pages", leave=False):
            client.get(page.path).raise_for_status()
            for name in page.panels:
                taken = [
                    _timed(partial(client.get, f"/panels/{page.name}/{name}", params={"range": one}))
                    for _ in range(rounds)
                    for one in _RANGES
                ]
                found[f"{page.name} {name}"] = {
                    "median": statistics.median(taken),
                    "p95": float(np.quantile(taken, 0.95)),
                }
    return found


def in_browser(url: str, application: Application) -> dict[str, float]:
    """Seconds until the first page is drawn, and until an event is seen; the worst of three."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    drawn, seen = [], []
    ready = "() => [...document.querySelectorAll('[data-chart]')].every((box) => box.querySelector('canvas'))"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        for _ in range(3):
            page = opened.new_context().new_page()
            page.goto(f"{url}/sign-in")
            page.fill("#key", _KEY)
            page.click("button.primary")
            page.wait_for_load_state()
            page.goto("about:blank")
            started = time.perf_counter()
            page.goto(url, wait_until="commit")
            page.wait_for_function(ready)
            drawn.append(time.perf_counter() - started)
            page.wait_for_selector("[data-live][data-state=live]")
            page.wait_for_timeout(2500)
            before = page.inner_text("#panel-numbers")
            started = time.perf_counter()
            with httpx.Client(base_url=url, headers={"X-API-Key": _KEY}) as client:
                client.post("/api/feedback", json=rating(0, 1)).raise_for_status()
            page.wait_for_function(
                "(before) => document.querySelector('#panel-numbers').innerText !== before", arg=before
            )
            seen.append(time.perf_counter() - started)
            page.context.close()
        opened.close()
    return {"first_page_s": max(drawn), "live_s": max(seen)}


def growth(url: str) -> float:
    """MiB that 500 requests without a key leave behind, after 50 that warm up."""
    process = psutil.Process()
    with httpx.Client(base_url=url) as client:
        for number in range(550):
            if number == 50:
                gc.collect()
                before = process.memory_info().rss
            client.get("/", headers={"accept": "text/html"})
    gc.collect()
    return float((process.memory_info().rss - before) / 2**20)


def browser() -> str | None:
    """The Chromium that is installed here."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


class NoEngines:
    """Matches nothing, at once."""

    def refresh(self) -> None:
        """Nothing needs loading."""

    def status(self) -> dict[str, dict[str, str]]:
        """No component of its own."""
        return {}


def _no_engines(*_: object) -> Matcher:
    return cast("Matcher", NoEngines())  # nothing is matched here


def _timed(act: Callable[[], httpx.Response]) -> float:
    started = time.perf_counter()
    act().raise_for_status()
    return 1000 * (time.perf_counter() - started)


def _class(code: str) -> str:
    return code if len(code) == 5 else "23.51"


def _place(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(42, 60)), float(rng.uniform(-5, 25))
