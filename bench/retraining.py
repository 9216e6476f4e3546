"""What a retraining costs beside its training, and what a swap of models costs those who ask meanwhile."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.load import KEY, made_key, post, requests_of, summed
from bench.sending import send
from bench.setup import Options
from bench.start import Server
from ism.app.wiring import Application, open_application
from ism.domain.market import Offer
from ism.retraining.opening import parts_of, registry_of
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.retraining.registry import Lineage
from ism.settings import Settings
from ism.storage import open_store
from ism.testing.history import history
from ism.testing.sample import WordEncoder

TITLE = "Retraining: what surrounds the training, and the swap"
NEEDS_DATA = False
NOTES = """\
The market is *simulated* (`ism.testing.history`); it says how fast, not how well. *Training* is what the process of its
own spends in `fit` of the engine and of its three twins for the calibration; *around it* is everything else of a job
from its request to the gate's verdict: snapshot, validation, the process itself, champion and challenger scored again,
the gate, and every row, in a process that has loaded its libraries, as one that serves has.

The swap: requests are sent at a steady rate whether or not the one before was answered, in three rounds, each first
without a swap, then while the registry moves between two versions every two seconds; the ratio is the median of the
rounds'. No answer is remembered. *Matches alone* are asked for in one process, at half the rate that this machine can
answer: beyond, one would only measure the queue. *Mixed* are 200 requests a second to an `ism serve`, at moments of a
Poisson process, by a sender in another process on the same two cores: half of them events of feedback, 48 % lists and
data of the dashboard, 2 % matches of one of 200 offers, which is what the two cores answer without a queue.
"""
MOST_SHARE, MOST_S, MOST_RATIO = 0.20, 2.0, 2.0
_EVERY_S = 2.0  # between two swaps
_MIXED = 200.0  # requests a second
_MIX = {"event": 0.5, "match": 0.02, "list": 0.38, "dashboard": 0.1}
_ROUNDS = 3
_OFFER = Offer("coal fly ash", ewc="10 01 02", nace="35.11", latitude=55.66, longitude=11.08)
_THREADS = 16


def run(options: Options) -> dict[str, Any]:
    """Run one job, then swap under load."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ism-bench-") as folder:
        job = _job(Path(folder) / "job", 12 if options.fast else 60)
        seconds = 3.0 if options.fast else 20.0
        swap = _swap(Path(folder) / "swap", seconds)
        mixed = _swap_mixed(Path(folder) / "swap", seconds)
    return {
        "protocol": "retraining",
        "simulated": True,
        "job": job,
        "swap": swap,
        "mixed": mixed,
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    job, ratios = found["job"], []
    rows = []
    for kind in ("swap", "mixed"):
        swap, what = found[kind], {"swap": "matches alone", "mixed": "mixed"}[kind]
        rows += [
            f"| {what}, {swap['rate']:.0f}/s, {label} | {sum(told['requests'] for told in swap[name])} "
            f"| {sum(told['failed'] for told in swap[name])} | {_each(swap[name], 'p50_ms')} "
            f"| {_each(swap[name], 'p99_ms')} |"
            for name, label in (("quiet", "no swap"), ("swapping", f"{swap['swaps']} swaps"))
        ]
        each = ", ".join(f"{ratio:.2f}" for ratio in swap["ratios_p99"])
        ratios.append(f"{what} {swap['ratio_p99']:.2f} (rounds: {each})")
    return "\n".join(
        [
            f"## {TITLE}", "", NOTES, about, "",
            f"A job on {job['exchanges']} exchanges ended as {job['state']} ({job['verdict']}): training "
            f"{job['training_s']:.1f} s, around it {job['around_s']:.2f} s; the limit is {job['limit_s']:.2f} s "
            f"({MOST_SHARE:.0%} and {MOST_S:.0f} s).",
            "",
            "| | requests | failed | p50, ms | p99, ms |", "|---|---|---|---|---|", *rows, "",
            f"Ratio of the p99: {'; '.join(ratios)} (limit {MOST_RATIO:.0f}).",
        ]
    )  # fmt: skip


def _job(folder: Path, donors: int) -> dict[str, Any]:
    import lightgbm  # noqa: F401, PLC0415 - a process that serves has loaded these before its first job
    import scipy.stats  # noqa: F401, PLC0415 - as above

    settings = Settings(data_dir=folder, _env_file=None)
    companies, exchanges = history(donors)
    with open_store(settings) as store:
        store.bulk_upsert([*companies, *exchanges])
        pipeline = AIRetrainingPipeline(parts_of(store, WordEncoder(), settings), background=False)
        job = pipeline.request("matching")
        started = time.perf_counter()
        pipeline.run_due()
        whole = time.perf_counter() - started
        job = pipeline.job(job.job_id)
    training = job.detail["training"]["fit_seconds"] + job.detail["training"]["calibrate_seconds"]
    limit = MOST_SHARE * training + MOST_S
    return {
        "exchanges": len(exchanges), "state": job.state, "verdict": job.detail["verdict"], "training_s": training,
        "fit_s": job.detail["training"]["fit_seconds"], "around_s": whole - training, "limit_s": limit,
        "within_limit": whole - training <= limit,
    }  # fmt: skip


def _swap(folder: Path, seconds: float) -> dict[str, Any]:
    with open_application(Settings(data_dir=folder, remembered_answers=0, _env_file=None)) as application:
        versions = [_version(application, folder, shift) for shift in (0.2, -0.2)]
        registry = registry_of(application.store, application.settings)
        registry.promote(versions[0], "bench", "first")
        rate = _capacity(application, 4.0) / 2
        return _compared(
            rate,
            lambda: _ask(application, seconds, rate),
            lambda number: registry.promote(versions[number % 2], "bench", "swap"),
        )


def _swap_mixed(folder: Path, seconds: float) -> dict[str, Any]:
    """As `_swap`, on the two versions that it left, by a server of its own and a sender of its own."""
    server = Server(folder, ISM_ADMIN_KEY=KEY, ISM_REMEMBERED_ANSWERS="0")
    try:
        server.wait(whole=True)
        requests = requests_of(server.port, [made_key(server.port, number) for number in range(4)], _MIX)

        def ask(length: float) -> dict[str, Any]:
            told = summed(asyncio.run(send(server.port, requests, _MIXED, length, 0)))
            return {
                "requests": told["answered"] + told["failed"] + told["unsent"],
                "failed": told["failed"] + told["unsent"], "p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"],
                "refused_share": told["refused_share"],
            }  # fmt: skip

        def promote(number: int) -> object:
            wanted = {"version": str(1 + number % 2), "reason": "swap"}
            return post(server.port, "/api/models/matching/promote", wanted)

        ask(5.0)  # what is loaded when it is first used
        return _compared(_MIXED, lambda: ask(seconds), promote)
    finally:
        server.stop()


def _compared(rate: float, ask: Callable[[], dict[str, Any]], swap: Callable[[int], object]) -> dict[str, Any]:
    """Rounds of asking, each without and with swaps: what disturbs one round of a shared machine is not the swap's."""
    quiet, swapping, swaps = [], [], list[int]()
    for _ in range(_ROUNDS):
        quiet.append(ask())
        with _each_while(swap, swaps):
            swapping.append(ask())
    ratios = [after["p99_ms"] / before["p99_ms"] for before, after in zip(quiet, swapping, strict=True)]
    ratio = median(ratios)
    return {
        "rate": rate, "quiet": quiet, "swapping": swapping, "swaps": len(swaps), "ratios_p99": ratios,
        "ratio_p99": ratio,
        "within_limit": not any(told["failed"] for told in swapping) and ratio <= MOST_RATIO,
    }  # fmt: skip


@contextmanager
def _each_while(swap: Callable[[int], object], swaps: list[int]) -> Iterator[None]:
    """Swap every two seconds meanwhile, and add the number of each swap to those before."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_EVERY_S):
            swap(len(swaps) + 1)
            swaps.append(len(swaps) + 1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _each(told: Sequence[Mapping[str, Any]], name: str) -> str:
    return ", ".join(f"{one[name]:.1f}" for one in told)


def _version(application: Application, folder: Path, shift: float) -> Any:
    made, serving = folder / f"trained{shift}", folder / "models" / "serving"
    shutil.copytree(serving / "matching", made / "engine")
    calibration = json.loads((serving / "fusion.json").read_text())["calibrations"]["matching"]
    changed = {**calibration, "intercept": calibration["intercept"] + shift}
    (made / "calibration.json").write_text(json.dumps(changed))
    registry = registry_of(application.store, application.settings)
    return registry.register("matching", made, Lineage("0" * 64, "bench", {}, 0, gate="PASS"))


def _capacity(application: Application, seconds: float) -> float:
    """Requests a second that one caller after another gets answered; also warms up."""
    application.match(_OFFER, 5)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        application.match(_OFFER, 5)
        count += 1
    return count / (time.perf_counter() - begun)


def _ask(application: Application, seconds: float, rate: float) -> dict[str, Any]:
    """Send requests at the rate; a request's time counts from when it should have been sent."""
    taken: list[float] = []
    failed = 0

    def one(due: float) -> None:
        nonlocal failed
        try:
            application.match(_OFFER, 5)
            taken.append(time.perf_counter() - due)
        except Exception:  # noqa: BLE001 - counted
            failed += 1

    begun = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in range(int(seconds * rate)):
            due = begun + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, due)
    p50, p99 = np.quantile(taken, [0.5, 0.99]) * 1000
    return {"requests": len(taken) + failed, "failed": failed, "p50_ms": float(p50), "p99_ms": float(p99)}
