"""Take the pictures in docs/screenshots: every page, whole but for that of matches, at 1440 and 390 px, light and dark.

    python -m tools.screenshots [PAGE ...]

Starts a server on a new data folder with the demonstration market, sixty days of *simulated* feedback and thirty of
*simulated* measurements, retrains one model, searches parameters of another, and walks through the pages with headless
Chromium. Takes some minutes.
"""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bench.serving import served
from ism.app.wiring import Application, open_application
from ism.domain.market import Offer, Recommendation
from ism.domain.monitoring import Alert, MetricPoint
from ism.engines import catalog
from ism.feedback.limits import rules_from
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.monitoring.alerts import acknowledge
from ism.monitoring.drift import DriftWatch
from ism.monitoring.outlook import OutlookWatch
from ism.monitoring.quality import QualityMeter
from ism.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
PAGES = {name or "overview": f"/{name}" for name in ("", "network", "feedback", "models", "jobs", "alerts", "system")}
SIZES = {1440: 1100, 390: 1400}
SCHEMES = ("light", "dark")
COLOURS = 128
EXAMPLE = {"material": "coal fly ash", "ewc": "10 01 02", "nace": "35.11", "country": "DK", "latitude": "55.66",
           "longitude": "11.08", "quantity_t_per_year": "50000"}  # fmt: skip
OFFERS = (
    Offer("coal fly ash", ewc="10 01 02", nace="35.11", country="DK", latitude=55.66, longitude=11.08),
    Offer("brewers' spent grain", ewc="02 07 04", nace="11.05", country="DE"),
    Offer("granulated blast-furnace slag", ewc="10 02 01", nace="24.10", country="AT"),
)
REMARKS = ("The distance is far too long for us", "Excellent quality of the material", "Price was much too high",
           "Quick and friendly answer", "The permit took too long", "A very good fit for our kiln")  # fmt: skip


def main() -> int:
    """Fill a folder, serve it, and take the pictures."""
    wanted = sys.argv[1:] or [*PAGES, "matches"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ism-") as name:
        settings = Settings(
            data_dir=Path(name) / "ism-data", feedback_turn_s=3600, monitoring_enabled=False, _env_file=None
        )
        with open_application(settings) as application:
            print("Feedback of sixty days ...", flush=True)
            talk(application)
            print("Measurements of thirty days ...", flush=True)
            measure(application)
            print("A retraining and a search ...", flush=True)
            train(application)
            with served(application) as url, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                for scheme in SCHEMES:
                    for width, height in SIZES.items():
                        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                        page = context.new_page()
                        page.goto(f"{url}/sign-in?token={application.auth.link_token}")
                        for each in wanted:
                            take(page, url, each, FOLDER / f"{each}-{width}-{scheme}.png")
                        context.close()
                browser.close()
    return 0


def take(page: Page, url: str, name: str, target: Path) -> None:
    """One picture, in few colours, so that it stays small."""
    if name == "matches":
        page.goto(f"{url}/matches?" + "&".join(f"{key}={value}" for key, value in EXAMPLE.items()))
        page.click("text=Find receivers")
        page.wait_for_selector(".match")
        if page.viewport_size and page.viewport_size["width"] < 600:
            page.evaluate("document.querySelector('#results').scrollIntoView({behavior: 'instant'})")
    else:
        page.goto(url + PAGES[name])
        drawn = "() => [...document.querySelectorAll('[data-chart]')].every((box) => box.querySelector('canvas'))"
        page.wait_for_function(drawn)
        page.wait_for_selector("[data-live][data-state=live]")
    page.wait_for_timeout(900)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=name != "matches")))  # ten answers are a very long page
    picture.quantize(COLOURS).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size // 1024} KiB", flush=True)


def talk(application: Application) -> None:
    """People look at matches for sixty days, and say what they think."""
    rng, now = random.Random(0), datetime.now(UTC)
    lists = [application.store.get_request(application.match(offer, 20).request_id) for offer in OFFERS]
    clock, shown = [now], []
    orchestrator = AIFeedbackOrchestrator(
        application.store, application.settings, application.encoder, lambda: clock[0]
    )
    for day in range(60):
        clock[0] = now - timedelta(days=59 - day, minutes=5)
        for number in range(8):
            shown += looked_at(application, rng.choice(lists), f"{day}-{number}", clock[0] - timedelta(hours=1))
        recent = shown[-480:]
        asyncio.run(orchestrator.ingest_batch([said(rng, recent, day) for _ in range(rng.randint(12, 24))]))
        orchestrator.loop.judge.judge()
    letter = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 9}}
    asyncio.run(orchestrator.ingest_batch([letter, *(said(rng, shown[-60:], 60, "ring") for _ in range(35))]))
    orchestrator.loop.turn()
    orchestrator.close()


def looked_at(application: Application, shown: list[Recommendation], name: str, at: datetime) -> list[str]:
    """A list as it would have been shown at an earlier time, logged for then."""
    earlier = [
        replace(each, recommendation_id=f"{name}-{each.rank}", request_id=f"then-{name}", created_at=at)
        for each in shown
    ]
    application.store.log_recommendations(earlier)
    return [each.recommendation_id for each in earlier]


def measure(application: Application) -> None:
    """Thirty days of load, quality as it was known on each of them, and two alerts."""
    store, now = application.store, datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    meter = QualityMeter(store, rules_from(application.settings), catalog.names())
    for step in range(30 * 4, -1, -1):
        then = now - timedelta(hours=6 * step)
        store.monitoring.add_metrics(meter.measure(then), then + timedelta(minutes=1))
    random_ = np.random.default_rng(0)
    for resolution, days in ((21_600, 30), (3600, 30), (300, 30), (60, 1)):
        at = [now - timedelta(seconds=resolution * step) for step in range(days * 86_400 // resolution, 0, -1)]
        store.monitoring.add_metrics(
            [MetricPoint(name, when, resolution, 1, value, value, value)
             for when in at for name, value in load(random_, now, when).items()], now
        )  # fmt: skip
    alert = Alert("past", "latency", "latency", "warning", "open", "Of a hundred requests the slowest five take 2.4 s "
                  "or more.", "See whether processor or memory is short, and which jobs run beside the server.",
                  "/system?range=24h#panel-latency", 2.4, 2.0, now - timedelta(days=4), now)  # fmt: skip
    store.monitoring.open_alert(alert)
    acknowledge(store, "past", "operator")
    store.monitoring.change_alert("past", {"state": "resolved", "resolved_at": now - timedelta(days=4, minutes=-48)})
    rule = next(rule for rule in application.monitoring.rules.every() if rule.name == "disk")
    message = rule.says.format(value=91)
    store.monitoring.open_alert(
        replace(alert, alert_id="disk", cause="disk", rule="disk", severity="critical", link=rule.link, value=91.0,
                threshold=90.0, opened_at=now - timedelta(minutes=25), message=message, remedy=rule.remedy)
    )  # fmt: skip
    OutlookWatch(store).turn(now)
    DriftWatch(store).turn(now)


def load(rng: np.random.Generator, now: datetime, at: datetime) -> dict[str, float]:
    """What a busy server might measure at a moment."""
    day, left = 0.5 - 0.5 * np.cos(2 * np.pi * (at.hour + at.minute / 60) / 24), (now - at).total_seconds() / 86_400
    busy, noise = max(0.05, day), rng.normal(1.0, 0.08)
    return {
        "cpu_percent": 8 + 50 * busy * noise, "memory_percent": 58 + 6 * busy * noise, "disk_percent": 91 - 1.1 * left,
        "requests_per_second": 14 * busy * noise, "matches_per_second": 2.1 * busy * noise, "health_score": 100.0,
        "active_connections": float(rng.poisson(3 * busy)), "error_percent": float(rng.exponential(0.2)),
        "latency_mean_s": 0.04 + 0.05 * busy * noise, "latency_p95_s": 0.12 + 0.25 * busy * noise,
        "match_latency_p95_s": 0.3 + 0.5 * busy * noise,
    }  # fmt: skip


def said(rng: random.Random, shown: list[str], day: int, actor: str | None = None) -> dict[str, Any]:
    """A rating, now and then with a remark, or an outcome; people grow more content with time."""
    about = {"recommendation_id": rng.choice(shown), "actor_id": actor or f"company-{rng.randint(1, 25)}"}
    if actor is None and rng.random() < 0.25:
        outcome = rng.choice(("contacted", "accepted", "rejected", "delivered"))
        return {"type": "match_outcome", "source": "system", "data": {**about, "outcome": outcome}}
    rating = max(1, min(5, round(rng.gauss(2.9 + day / 50, 1.0))))
    data = {**about, "model_name": rng.choice(("matching", "knowledge_graph", "gnn")), "rating": rating}
    if rng.random() < 0.4:
        data["feedback"] = f"{rng.choice(REMARKS)} ({rng.randint(1, 9999)})"
    return {"type": "user_feedback", "source": "user", "data": data}


def train(application: Application) -> None:
    """One retraining up to the gate, and one small search."""
    job = application.retraining.pipeline.request("knowledge_graph")
    search = application.tuning.begin({"model_name": "matching", "n_trials": 10, "optimization_type": "tpe"})
    ends = time.monotonic() + 600
    while time.monotonic() < ends:
        waits = application.retraining.pipeline.job(job.job_id).state
        left = application.tuning.optimizer.get_optimization_status(search["optimization_id"])["status"]
        if waits not in {"REQUESTED", "SNAPSHOTTED", "VALIDATED", "TUNING", "TRAINED"} and left != "running":
            return
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
