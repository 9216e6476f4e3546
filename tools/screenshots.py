"""Take the pictures in docs/screenshots: every page at 1440 and 390 px, light and dark.

    python -m tools.screenshots [PAGE ...]

Starts a server on a new data folder with the demonstration market and sixty days of *simulated* feedback, retrains one
model, searches parameters of another, and walks through the pages with headless Chromium. Takes some minutes.
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

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bench.serving import served
from ism.app.wiring import Application, open_application
from ism.domain.market import Offer
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
PAGES = {name or "overview": f"/{name}" for name in ("", "network", "feedback", "models", "jobs", "system")}
SIZES = {1440: 1100, 390: 1400}
SCHEMES = ("light", "dark")
COLOURS = 256
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
        settings = Settings(data_dir=Path(name) / "ism-data", feedback_turn_s=3600, _env_file=None)
        with open_application(settings) as application:
            print("Feedback of sixty days ...", flush=True)
            talk(application)
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
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.quantize(COLOURS).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size // 1024} KiB", flush=True)


def talk(application: Application) -> None:
    """People look at matches for sixty days, and say what they think."""
    rng, now = random.Random(0), datetime.now(UTC)
    shown = [each for offer in OFFERS for each in looked_at(application, offer, now - timedelta(days=61))]
    clock = [now]
    orchestrator = AIFeedbackOrchestrator(
        application.store, application.settings, application.encoder, lambda: clock[0]
    )
    for day in range(60):
        clock[0] = now - timedelta(days=59 - day, minutes=5)
        asyncio.run(orchestrator.ingest_batch([said(rng, shown, day) for _ in range(rng.randint(2, 9))]))
    letter = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 9}}
    asyncio.run(orchestrator.ingest_batch([letter, *(said(rng, shown, 60, "ring") for _ in range(35))]))
    orchestrator.loop.turn()
    orchestrator.close()


def looked_at(application: Application, offer: Offer, at: datetime) -> list[str]:
    """What would have been shown for an offer at an earlier time, logged for then."""
    lists = application.store.get_request(application.match(offer, 20).request_id)
    earlier = [
        replace(
            each,
            recommendation_id=f"then-{each.recommendation_id}",
            request_id=f"then-{each.request_id}",
            created_at=at,
        )
        for each in lists
    ]
    application.store.log_recommendations(earlier)
    return [each.recommendation_id for each in earlier]


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
