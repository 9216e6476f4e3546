"""A server under load: mixed requests at a steady rate, then five times as many, and what is found afterwards."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from bench.sending import Request, Sent, send
from bench.setup import Options
from bench.start import Server
from ism.storage import open_sqlite

TITLE = "Load"
NEEDS_DATA = False
RATE, TIMES = 300.0, 5.0
P99_MS, GROWTH = 250.0, 0.05
KEY, _CALLERS = "bench-key-of-this-run-only", 4
_LOOK_S = 0.5
_SHARES = {"event": 0.5, "match": 0.1, "list": 0.3, "dashboard": 0.1}
_READ = {
    "list": ("/api/listings?limit=20", "/api/companies?limit=20", "/api/engines", "/api/fusion/models"),
    "dashboard": ("/api/dashboard/overview", "/api/alerts", "/api/dashboard/retraining-jobs"),
}
_MATERIALS = (
    ("coal fly ash", "10 01 02", "35.11"), ("blast furnace slag", "10 02 01", "24.10"),
    ("spent grain from brewing", "02 07 04", "11.05"), ("waste wood", "03 01 05", "16.10"),
    ("gypsum from flue gas", "10 01 05", "35.11"), ("whey", "02 05 02", "10.51"),
    ("paper sludge", "03 03 11", "17.12"), ("glass cullet", "19 12 05", "38.32"),
    ("sewage sludge", "19 08 05", "37.00"), ("textile cuttings", "04 02 22", "13.20"),
)  # fmt: skip
_PLACES = ("DK", "SE", "DE", "NL", "FR", "ES", "IT", "PL", "AT", "FI")
_OFFERS = [
    {"material": material, "ewc": ewc, "nace": nace, "country": country, "quantity_t_per_year": tonnes}
    for tonnes, country, (material, ewc, nace) in itertools.product((1_000, 20_000), _PLACES, _MATERIALS)
]
_POPULARITY = [1.0 / place for place in range(1, 1 + len(_OFFERS))]
_HEADS = (
    "requests/s", "answered", "median, ms", "99 %, ms", "refused", "of these without Retry-After", "failed", "not sent",
    "memory, MiB", "grown",
)  # fmt: skip
NOTES = f"""\
`ism serve` with the demonstration market and its engines on SQLite, and a sender in another process on the same two
cores, on loopback. Requests come at moments of a Poisson process that do not wait for answers, from {_CALLERS} callers
with keys: {_SHARES["event"]:.0%} events of feedback, {_SHARES["match"]:.0%} matches, {_SHARES["list"]:.0%} lists and
{_SHARES["dashboard"]:.0%} data of the dashboard. A match asks for the best ten receivers of one of
{len(_OFFERS)} offers, for the n-th with a probability proportional to 1/n: people open some lists again and again, and
those the server remembers. A wait counts from the moment at which the request was due to the last byte of its answer;
refusals are not in it. *Memory* is resident memory of the server, the largest in the phase, against that at the end of
the phase before. Events are looked for in the database after the server has ended.
"""


def run(options: Options) -> dict[str, Any]:
    """Serve, load, overload, stop, and look for every event."""
    started, seconds = time.perf_counter(), 15.0 if options.fast else 600.0
    with tempfile.TemporaryDirectory(prefix="ism-load-") as name:
        folder = Path(name)
        server = Server(folder, ISM_ADMIN_KEY=KEY)
        try:
            server.wait(whole=not options.fast)
            keys = [made_key(server.port, number) for number in range(_CALLERS)]
            requests = requests_of(server.port, keys)
            _phase(server, requests, RATE, 10.0, 0)  # what is loaded when it is first used
            phases = [_phase(server, requests, rate, seconds, seed) for seed, rate in ((1, RATE), (2, RATE * TIMES))]
            stopped = server.stop()
        finally:
            server.stop()
        acknowledged = set[str]().union(*(phase.pop("acknowledged") for phase in phases))
        missing = len(acknowledged - _stored(folder))
    return {
        "protocol": "load",
        "phase_s": seconds,
        "rate": RATE,
        "phases": phases,
        "acknowledged": len(acknowledged),
        "missing": missing,
        "stop_s": stopped,
        "limits": {"p99_ms": P99_MS, "growth": GROWTH},
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    rows = [
        f"| {phase['rate']:.0f} | {phase['answered']:,} | {phase['p50_ms']:.0f} | {phase['p99_ms']:.0f} | "
        f"{phase['refused_share']:.1%} | {phase['impatient']} | {phase['failed']} | {phase['unsent']} | "
        f"{phase['memory_mib']:.0f} | {phase['growth']:+.1%} |"
        for phase in found["phases"]
    ]
    phases = found["phases"]
    quantiles = {kind: " | ".join(f"{phase['kinds'].get(kind, 0.0):.0f}" for phase in phases) for kind in _SHARES}
    rates = " | ".join(f"{phase['rate']:.0f}/s" for phase in phases)
    return "\n".join(
        [
            f"## {TITLE}", "", NOTES, about, "",
            f"{found['phase_s']:.0f} s each. Limits: at {found['rate']:.0f} requests/s {P99_MS:.0f} ms for 99 %; at",
            f"five times as many memory within {GROWTH:.0%}; who is refused (429, 503) is told when to come again.",
            "",
            f"| {' | '.join(_HEADS)} |", "|---" * len(_HEADS) + "|", *rows, "",
            "99 % of the answers, ms, by kind:", "",
            f"| | {rates} |", "|---" * (1 + len(phases)) + "|",
            *(f"| {kind} | {quantiles[kind]} |" for kind in _SHARES), "",
            f"{found['acknowledged']:,} events were acknowledged, {found['missing']} of them are missing. "
            f"Stopped in {found['stop_s']:.1f} s.",
        ]
    )  # fmt: skip


def _phase(server: Server, requests: Iterator[Request], rate: float, seconds: float, seed: int) -> dict[str, Any]:
    before, over = server.memory_mib(), threading.Event()
    seen = [before]

    def watch() -> None:
        while not over.wait(_LOOK_S):
            seen.append(server.memory_mib())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        sent = asyncio.run(send(server.port, requests, rate, seconds, seed))
    finally:
        over.set()
        watching.join()
    return {"rate": rate, "memory_mib": max(seen), "growth": max(seen) / before - 1.0, **summed(sent)}


def summed(sent: Sent) -> dict[str, Any]:
    """What came of a phase, in numbers."""
    waits = [wait for each in sent.waits.values() for wait in each]
    refused = sent.codes[429] + sent.codes[503]
    answered = len(waits)
    return {
        "answered": answered,
        "p50_ms": _quantile_ms(waits, 50),
        "p99_ms": _quantile_ms(waits, 99),
        "kinds": {kind: _quantile_ms(each, 99) for kind, each in sent.waits.items()},
        "refused_share": refused / max(sum(sent.codes.values()), 1),
        "codes": {str(code): number for code, number in sorted(sent.codes.items())},
        "impatient": sent.impatient,
        "failed": sum(sent.codes.values()) - answered - refused,
        "unsent": sent.unsent,
        "acknowledged": sent.acknowledged,
        "seconds": sent.seconds,
    }


def _quantile_ms(waits: Sequence[float], percent: float) -> float:
    return 1000 * float(np.percentile(waits, percent)) if waits else float("nan")


def made_key(port: int, number: int) -> str:
    """A caller's key."""
    return str(post(port, "/api/keys", {"name": f"caller {number}", "role": "operator"})["key"])


def post(port: int, path: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What the server answers to its administrator."""
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=orjson.dumps(value), headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def requests_of(port: int, keys: Sequence[str], shares: Mapping[str, float] = _SHARES) -> Iterator[Request]:
    """Requests of all kinds in a random order, each of a random caller."""
    luck, kinds, weights = random.Random(0), list(shares), list(shares.values())
    for number in itertools.count():
        kind, key = luck.choices(kinds, weights)[0], luck.choice(keys)
        if kind == "event":
            event = {"type": "system_metric", "source": "system", "event_id": f"load-{port}-{number}"}
            event["data"] = {"metric_name": "load", "value": number, "component": "bench"}  # type: ignore[assignment]  # an event nests
            yield Request(kind, _post("/api/feedback", key, event), str(event["event_id"]))
        elif kind == "match":
            yield Request(kind, _post("/api/matches", key, {"offer": luck.choices(_OFFERS, _POPULARITY)[0], "top": 10}))
        else:
            path = luck.choice(_READ[kind])
            yield Request(kind, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n\r\n".encode())


def _post(path: str, key: str, value: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(value)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _stored(folder: Path) -> set[str]:
    found, after = set[str](), 0
    with open_sqlite(folder) as store:
        while page := store.feedback.events(after, 10_000):
            found.update(item.event.event_id for item in page)
            after = page[-1].sequence
    return found
