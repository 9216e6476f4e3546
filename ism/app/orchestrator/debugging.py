"""The orchestrator by itself, for debugging: every part runs, no web page; its status goes out whenever it changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import Any

from ism.app.orchestrator.production import ProductionOrchestrator
from ism.domain.errors import IsmError

_HELLO = """\
The orchestrator by itself, without web page and HTTP API: every part of the default data folder runs, is checked and is
started again where it fails. Each line tells how the system is, as JSON, whenever that changes. Stop with Ctrl+C.
"""
_LOOK_S = 0.2


def main() -> int:
    """Supervise until interrupted; 0, or 1 where the data folder cannot be opened."""
    sys.stderr.write(_HELLO)
    try:
        asyncio.run(_watch())
    except IsmError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _watch() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with ProductionOrchestrator() as orchestrator:
        told: Any = None
        while not ended.is_set():
            status = orchestrator.get_system_status()
            seen = (status["status"], {name: each["state"] for name, each in status["components"].items()})
            if seen != told:
                told = seen
                sys.stdout.write(json.dumps(status) + "\n")
                sys.stdout.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _LOOK_S)
