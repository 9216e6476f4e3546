"""How long `ism serve` takes to answer, in a new data folder and in one that it knows, and what it then holds."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tqdm import tqdm

from bench.setup import Options
from ism.testing.ports import free_port

TITLE = "Start: from `ism serve` to an answer"
NEEDS_DATA = False
MOST = {"first_ready_s": 20.0, "warm_ready_s": 6.0, "rss_mib": 400 * 1e6 / 2**20}
NOTES = """\
A real `ism serve` on the bundled demonstration market, as its own process. *Ready* is the first 200 of `/readyz`. In a
new folder two engines are trained before that, and answer; *all engines* is when `/readyz` names none that is still
missing. *Memory* is the resident set of the serving process when all engines answer and nothing is asked of it for some
seconds; children that trained are gone by then. *Stop* is from SIGTERM to the end of the process.
"""
_LIMIT_S = 900.0
_POLL_S = 0.05
_LABELS = {
    "first_ready_s": "first start, ready, s",
    "first_all_engines_s": "first start, all engines, s",
    "warm_ready_s": "start after that, ready, s",
    "rss_mib": "memory when idle, MiB",
    "stop_s": "stop, s",
    "stop_training_s": "stop while engines are trained, s",
}


def run(options: Options) -> dict[str, Any]:
    """Start, stop and start again in new folders."""
    started = time.perf_counter()
    rounds = [_round(2.0 if options.fast else 10.0) for _ in tqdm(range(1 if options.fast else 3), desc="start")]
    medians = {name: statistics.median(told[name] for told in rounds) for name in _LABELS}
    loaded = sorted({library for told in rounds for library in told["loaded"]})
    return {
        "protocol": "start",
        "rounds": rounds,
        **medians,
        "loaded": loaded,
        "limits": MOST,
        "within_limits": not loaded and all(medians[name] <= most for name, most in MOST.items()),
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    rows = [_row(name, label, found) for name, label in _LABELS.items()]
    loaded = ", ".join(found["loaded"]) or "neither torch nor flwr"
    return "\n".join(
        [
            f"## {TITLE}",
            "",
            NOTES,
            about,
            "",
            "| | median | rounds | at most |",
            "|---|---|---|---|",
            *rows,
            "",
            f"The serving process has loaded {loaded}.",
        ]
    )


def _row(name: str, label: str, found: Mapping[str, Any]) -> str:
    each = ", ".join(f"{told[name]:.1f}" for told in found["rounds"])
    most = found["limits"].get(name)
    return f"| {label} | {found[name]:.1f} | {each} | {'' if most is None else f'{most:.0f}'} |"


def _round(idle_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ism-start-") as folder:
        cut = Server(Path(folder))
        cut.wait(whole=False)
        stopped = cut.stop()
    with tempfile.TemporaryDirectory(prefix="ism-start-") as folder:
        new = Server(Path(folder))
        first = new.wait(whole=False)
        whole = new.wait(whole=True)
        stopping = [new.stop()]
        known = Server(Path(folder))
        warm = known.wait(whole=True)
        time.sleep(idle_s)
        memory, loaded = known.memory_mib(), known.loaded(("torch", "flwr"))
        stopping.append(known.stop())
    return {
        "first_ready_s": first,
        "first_all_engines_s": whole,
        "warm_ready_s": warm,
        "rss_mib": memory,
        "stop_s": max(stopping),
        "stop_training_s": stopped,
        "loaded": loaded,
    }


class Server:
    """A process of its own that serves a folder on a free port."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.port = free_port()
        self._url = f"http://127.0.0.1:{self.port}/readyz"
        command = [sys.executable, "-m", "ism.app.cli", "serve", "--data-dir", str(folder), "--port", str(self.port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ISM_")} | more
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=folder
        )

    def wait(self, *, whole: bool) -> float:
        """Seconds since its start when it is ready; ``whole`` when no part of it is degraded either."""
        while time.perf_counter() - self._started < _LIMIT_S:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with exit code {self._process.returncode}")
            if self._ready(whole):
                return time.perf_counter() - self._started
            time.sleep(_POLL_S)
        self.stop()
        raise TimeoutError(f"the server was not ready within {_LIMIT_S:g} s")

    def memory_mib(self) -> float:
        """Resident memory of the process, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def loaded(self, names: Sequence[str]) -> list[str]:
        """Which of these libraries it has mapped into its memory or opened."""
        maps = Path(f"/proc/{self._process.pid}/maps").read_text(encoding="utf-8")
        return [name for name in names if f"/{name}/" in maps]

    def stop(self) -> float:
        """Seconds from SIGTERM to its end."""
        asked = time.perf_counter()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
        return time.perf_counter() - asked

    def _ready(self, whole: bool) -> bool:
        try:
            with urllib.request.urlopen(self._url, timeout=5) as answer:
                parts = json.load(answer)["components"].values()
        except (URLError, ConnectionError, TimeoutError):
            return False
        return not whole or all(part["state"] == "ok" for part in parts)
