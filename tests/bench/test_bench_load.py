"""The sender of the load benchmark, on a server that refuses every third request."""

import asyncio
import itertools

from bench.load import section
from bench.sending import Request, send


def test_refusals_failures_and_acknowledged_events_are_counted():
    numbers = itertools.count()

    async def answer(reader, writer):
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                refused = next(numbers) % 3 == 2
                head = b"429 Too Many\r\nRetry-After: 1" if refused else b"201 Created"
                writer.write(b"HTTP/1.1 " + head + b"\r\nContent-Length: 2\r\n\r\n{}")
        except asyncio.IncompleteReadError:
            writer.close()

    async def play():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        raw = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        sent = await send(port, (Request("event", raw, f"e{n}") for n in itertools.count()), 200.0, 0.5, 0)
        server.close()
        return sent

    sent = asyncio.run(asyncio.wait_for(play(), 30))
    total = sent.codes[201] + sent.codes[429]
    assert set(sent.codes) == {201, 429}
    assert total > 50
    assert abs(sent.codes[429] - total / 3) <= 1
    assert sent.impatient == sent.unsent == 0
    assert len(sent.acknowledged) == len(sent.waits["event"]) == sent.codes[201]


def test_a_closed_port_is_counted_as_failed():
    sent = asyncio.run(send(1, (Request("list", b"") for _ in itertools.count()), 100.0, 0.2, 0))
    assert set(sent.codes) == {0}
    assert not sent.waits


def test_the_report_names_the_limits_and_what_is_missing():
    phase = {
        "rate": 300.0, "answered": 10, "p50_ms": 3.0, "p99_ms": 9.0, "refused_share": 0.0, "impatient": 0, "failed": 0,
        "unsent": 0, "memory_mib": 300.0, "growth": 0.01, "kinds": {"event": 9.0},
    }  # fmt: skip
    found = {"phases": [phase], "phase_s": 1.0, "rate": 300.0, "acknowledged": 5, "missing": 1, "stop_s": 0.5}
    report = section(found, "made here")
    assert "| 300 | 10 | 3 | 9 | 0.0% | 0 | 0 | 0 | 300 | +1.0% |" in report
    assert "5 events were acknowledged, 1 of them are missing" in report
