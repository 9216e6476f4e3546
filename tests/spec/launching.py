"""The launcher as a user starts it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from ism.testing.ports import free_port

KEY = "a-long-admin-key-for-tests"
BACKEND = Path(__file__).parents[2] / "backend"


@dataclass
class Launched:
    """A running system."""

    process: subprocess.Popen[str]
    folder: Path
    client: httpx.Client

    def component(self, name: str) -> dict:
        """As /readyz tells it."""
        return self.client.get("/readyz").json()["components"][name]

    def wait(self, done, limit_s: float = 60.0) -> None:
        """Until something holds."""
        ends = time.monotonic() + limit_s
        while True:
            assert self.process.poll() is None, "the launcher ended"
            with contextlib.suppress(httpx.TransportError, KeyError):
                if done(self):
                    return
            assert time.monotonic() < ends, "it took too long"
            time.sleep(0.05)

    def ready(self) -> None:
        """Until it answers matches and every part has been tried."""
        self.wait(lambda it: it.client.get("/readyz").status_code == 200 and not it.starting())

    def starting(self) -> list[str]:
        """Parts that are starting."""
        return [
            name
            for name, each in self.client.get("/readyz").json()["components"].items()
            if each["state"] == "starting"
        ]

    def stop(self) -> tuple[int, float]:
        """Exit code, and seconds that the end took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15), time.monotonic() - began


@contextlib.contextmanager
def launched(
    folder: Path, *options: str, script: Path = BACKEND / "start_production_ai_system.py", **environment: str
) -> Iterator[Launched]:
    """``python backend/start_production_ai_system.py OPTIONS`` on an empty market."""
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ISM_")}
    more = {"ISM_DATA_DIR": str(folder), "ISM_ADMIN_KEY": KEY, "ISM_DEMO_MARKET": "false"}
    arguments = [sys.executable, str(script), *options]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "said.txt").open("w") as said:
        process = subprocess.Popen(
            arguments, stderr=said, cwd=folder.parent, text=True,
            env={**inherited, **more, "MONITORING_PORT": str(port), **environment},
        )  # fmt: skip
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, timeout=20, trust_env=False)
    try:
        yield Launched(process, folder, client)
    finally:
        client.close()
        if process.poll() is None:
            process.kill()
            process.wait(10)
