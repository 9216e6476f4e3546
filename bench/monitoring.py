"""What collecting metrics costs, how fast 90 days of them are read, and whether strangers fill the memory."""

from __future__ import annotations

import asyncio
import gc
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.setup import Options
from ism.app.http.app import create_app
from ism.app.wiring import open_application
from ism.domain.market import Company
from ism.domain.monitoring import MetricPoint
from ism.domain.retraining import RetrainingJob
from ism.engines import catalog
from ism.monitoring.dashboard import AI_FIELDS, HEALTH, MORE_AI_FIELDS, Dashboard, Span
from ism.monitoring.metrics import SYSTEM
from ism.monitoring.outlook import EVERY, FILLS, FORECAST, STEPS, outlook_apart
from ism.monitoring.quality import FUSION
from ism.settings import Settings
from ism.storage import Store

TITLE = "Monitoring: what it costs, and how fast it is read"
NEEDS_DATA = False
NOTES = """\
The history is *simulated*: it says how fast, not what happened. *Collecting* is the processor time of a turn of the
collector, as a share of the minute between two turns, with that of the forecasts as a share of the six hours between
two. *Requests* are `GET /api/alerts` and take turns between a server with and one without monitoring, in one process
without a network.
"""
MOST_CORE, MOST_REQUEST, MOST_PANEL_MS, MOST_MIB = 0.01, 0.03, 200.0, 10.0


def run(options: Options) -> dict[str, Any]:
    """Measure all four."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ism-bench-") as folder:
        panels, core = _panels(Path(folder) / "panels", 3 if options.fast else 90, options.fast)
        found = asyncio.run(_requests(Path(folder), 100 if options.fast else 1500))
    return {"panels_p95_ms": panels, "core_share": core, **found, "seconds": time.perf_counter() - started}


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    rows = [f"| {name} | {value:.1f} |" for name, value in found["panels_p95_ms"].items()]
    return "\n".join(
        [
            f"## {TITLE}", "", NOTES, about, "",
            f"- Collecting: {found['core_share']:.3%} of a core (limit {MOST_CORE:.0%}).",
            f"- Requests: {found['request_share']:+.2%} of their time (limit {MOST_REQUEST:.0%}).",
            f"- 500 anonymous requests: {found['grown_mib']:+.1f} MiB (limit {MOST_MIB:.0f}).",
            "", f"Panels, limit {MOST_PANEL_MS:.0f} ms:", "", "| panel | p95, ms |", "|---|---|", *rows,
        ]
    )  # fmt: skip


def _panels(folder: Path, days: int, fast: bool) -> tuple[dict[str, float], float]:
    with open_application(Settings(data_dir=folder, demo_market=False, _env_file=None), warm=False) as application:
        _fill(application.store, days, 100 if fast else 10_000, 100 if fast else 5_000)
        now = datetime.now(UTC)
        span, board = Span(now - timedelta(days=days), now), application.monitoring.dashboard
        panels = _timed(board, span, Span(now - timedelta(hours=24), now), 5 if fast else 40)
        ahead = _ahead() / EVERY.total_seconds()
        turns = 10
        before = time.process_time()
        for minute in range(turns):
            application.monitoring.collector.collect(now + timedelta(minutes=minute))
        return panels, ahead + (time.process_time() - before) / turns / 60.0


def _ahead() -> float:
    """Processor seconds of looking ahead from four weeks of hourly values, in the process that is made for it."""
    hours, random = np.arange(24 * 28), np.random.default_rng(0)
    series = {
        name: 50 + 20 * np.sin(hours * np.pi / 12) + random.normal(size=len(hours)) for name in (*FORECAST, *FILLS)
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    outlook_apart(series, FORECAST, STEPS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _timed(board: Dashboard, whole: Span, day: Span, rounds: int) -> dict[str, float]:
    calls: dict[str, Callable[[], object]] = {
        "overview": board.overview,
        "system-metrics, a day": lambda: board.system_metrics(day),
        "system-metrics, all": lambda: board.system_metrics(whole),
        "ai-metrics, all": lambda: board.ai_metrics("matching", whole),
        "feedback-analytics": lambda: board.feedback(whole),
        "retraining-jobs": board.retraining_jobs,
        "alerts": board.alerts,
    }
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - started))
        found[name] = float(np.quantile(times, 0.95))
    return found


def _fill(store: Store, days: int, jobs: int, companies: int) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    fill_metrics(store, days)
    for number in range(jobs):
        store.retraining.add_job(RetrainingJob(f"job{number}", f"model{number}", "manual", {}, "REQUESTED", now))
    store.bulk_upsert(Company(company_id=f"c{number}", name=f"Company {number}") for number in range(companies))


def fill_metrics(store: Store, days: int) -> None:
    """Measurements of the machine at every minute, and of every model at every hour, at each resolution kept."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    fields = (*AI_FIELDS, *MORE_AI_FIELDS)
    models = [f"model.{field}:{model}" for field in fields for model in [*catalog.names(), FUSION]]
    for resolution, kept in ((60, min(1, days)), (300, min(30, days)), (3600, days), (21_600, days)):
        for names, every in (((*SYSTEM, HEALTH), resolution), (models, max(resolution, 3600))):
            steps = kept * 86_400 // every
            for start in range(0, steps, 1000):
                ats = [now - timedelta(seconds=every * step) for step in range(start, min(steps, start + 1000))]
                store.monitoring.add_metrics(
                    [MetricPoint(name, at, resolution, 1, 0.5, 0.5, 0.5) for name in names for at in ats], now
                )


async def _requests(folder: Path, number: int) -> dict[str, float]:
    import httpx  # noqa: PLC0415 - only here

    clients, applications = [], []
    for name, on in (("with", True), ("without", False)):
        settings = Settings(data_dir=folder / name, monitoring_enabled=on, demo_market=False, _env_file=None)
        application = open_application(settings, warm=False)
        application.auth.ensure_admin("bench-key-of-this-run-only")
        applications.append(application)
        transport = httpx.ASGITransport(create_app(application))
        headers = {"X-API-Key": "bench-key-of-this-run-only"}
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers))
    times: list[list[float]] = [[], []]
    for turn in range(number + 20):
        for place in ((0, 1), (1, 0))[turn % 2]:
            started = time.perf_counter()
            await clients[place].get("/api/alerts")
            times[place].append(time.perf_counter() - started)
    ours, bare = (float(np.median(each[20:])) for each in times)
    grown = await _strangers(clients[0])
    for client, application in zip(clients, applications, strict=True):
        await client.aclose()
        application.close()
    return {"request_share": ours / bare - 1.0, "grown_mib": grown}


async def _strangers(client: Any) -> float:
    del client.headers["X-API-Key"]
    process = psutil.Process()
    for path in range(100):
        await client.get(f"/warm/{path}")
    gc.collect()
    before = process.memory_info().rss
    for path in range(500):
        await client.get(f"/nothing/{path}")
    gc.collect()
    return float(process.memory_info().rss - before) / 2**20
