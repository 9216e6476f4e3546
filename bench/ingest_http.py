"""Feedback over HTTP: a server in a process of its own, loaded from another one over connections that stay open."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import socket
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response
from tqdm import tqdm

CONNECTIONS = 64
STORED, CHECKED = "/api/feedback", "/bench/checked"
_WAIT_S = 120.0


def http_rates(folder: Path, database_url: str | None, rounds: int, seconds: float) -> dict[str, float]:
    """Median requests a second of both routes, their ratio within a round, and the time of 99 % of the answers.

    Args:
        folder: of a new store.
        database_url: PostgreSQL instead of the folder's SQLite.
        rounds: how often each route is loaded, in turns.
        seconds: for how long.
    """
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    server = processes.Process(target=_serve, args=(folder, database_url, theirs), daemon=True)
    server.start()
    try:
        if not ours.poll(_WAIT_S):
            raise TimeoutError(f"the server did not start within {_WAIT_S:g} s")
        port, key = ours.recv()
        rates: dict[str, list[float]] = {CHECKED: [], STORED: []}
        waits: list[float] = []
        for number in tqdm(range(rounds + 1), desc="HTTP", unit="round"):
            for path, found in rates.items():
                rate, taken = asyncio.run(_load(port, key, path, seconds))
                if number:  # the first one warms up
                    found.append(rate)
                    waits += taken if path == STORED else []
    finally:
        server.terminate()
        server.join(_WAIT_S)
    ratios = [stored / checked for stored, checked in zip(rates[STORED], rates[CHECKED], strict=True)]
    return {
        "checked": statistics.median(rates[CHECKED]),
        "stored": statistics.median(rates[STORED]),
        "ratio": statistics.median(ratios),
        "stored_p99_ms": 1000 * float(np.percentile(waits, 99)),
    }


def _serve(folder: Path, database_url: str | None, told: Connection) -> None:
    """The application as it is served, without engines, and with a route that only checks."""
    import uvicorn  # noqa: PLC0415 - in the server's process only

    from bench.ingest import log_shown  # noqa: PLC0415 - as above
    from ism.app.http.access import MAY_WRITE, App  # noqa: PLC0415 - as above
    from ism.app.http.app import create_app  # noqa: PLC0415 - as above
    from ism.app.http.routes.feedback import loads_quickly  # noqa: PLC0415 - as above
    from ism.app.wiring import open_application  # noqa: PLC0415 - as above
    from ism.feedback.arrival import Limits, read, utc_now  # noqa: PLC0415 - as above
    from ism.settings import Settings  # noqa: PLC0415 - as above

    given: dict[str, Any] = {"data_dir": folder, "database_url": database_url, "demo_market": False, "_env_file": None}
    with open_application(Settings(**given), make_matcher=_no_matcher, warm=False) as application:
        if application.store.feedback.shown_at(["r0"]) == {}:
            log_shown(application.store)
        app: FastAPI = create_app(application)
        limits = Limits()

        async def checked(request: Request, application: App) -> Response:
            event = read(loads_quickly(await request.body()), utc_now(), limits).event
            return Response(orjson.dumps({"feedback_id": event.event_id}), 201, media_type="application/json")

        app.add_api_route(CHECKED, checked, methods=["POST"], dependencies=MAY_WRITE)
        listener = socket.create_server(("127.0.0.1", 0))
        told.send((listener.getsockname()[1], application.auth.create("bench", "service")[1]))
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


def _no_matcher(*_: object) -> Any:
    raise RuntimeError("this server only takes in feedback")


_runs = itertools.count()


async def _load(port: int, key: str, path: str, seconds: float) -> tuple[float, list[float]]:
    """Requests a second, and how long each took, in seconds; each connection sends when it was answered."""
    ends = time.perf_counter() + seconds
    bodies = _bodies(f"h{next(_runs)}-{time.time_ns()}")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        "Content-Length: "
    ).encode()
    taken: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (before := time.perf_counter()) < ends:
            body = next(bodies)
            writer.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
            await _answered(reader)
            taken.append(time.perf_counter() - before)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return len(taken) / (time.perf_counter() - started), taken


async def _answered(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 201"):
        raise RuntimeError(f"the server answered {head.splitlines()[0].decode()!r}")
    lowered = head.lower()
    start = lowered.index(b"content-length:") + len(b"content-length:")
    await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))


def _bodies(prefix: str) -> Iterator[bytes]:
    from bench.ingest import make_event  # noqa: PLC0415 - it imports this module

    for number in itertools.count():
        yield orjson.dumps({**make_event(), "event_id": f"{prefix}-{number}"})
