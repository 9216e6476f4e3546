"""Feedback over HTTP: a server in a process of its own, loaded from another one over connections that stay open."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import orjson
from tqdm import tqdm

CONNECTIONS = 256
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
        asyncio.run(_load(port, key, CHECKED, 0.0, connections=1))  # the key is checked slowly the first time
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
    from bench.ingest_server import serve  # noqa: PLC0415 - in the server's process only

    serve(folder, database_url, told)


_runs = itertools.count()


async def _load(
    port: int, key: str, path: str, seconds: float, connections: int | None = None
) -> tuple[float, list[float]]:
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
        more = True
        while more:
            before = time.perf_counter()
            body = next(bodies)
            writer.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
            await _answered(reader)
            taken.append(time.perf_counter() - before)
            more = before < ends
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections or CONNECTIONS)))
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
