"""Servers on one PostgreSQL and one data folder, each a process of its own that can be killed."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from ism.testing.ports import free_port

KEY = "a-long-admin-key-for-tests"
HERE = Path(__file__).parent
_PATHS = (HERE, HERE.parent / "retraining", HERE.parent / "app", HERE.parents[1])


class Replica:
    """One server; started again under another port each time."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self._said = folder

    def start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ISM_")}
        self._said = self._folder.parent / f"said-{port}.txt"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "replica_launcher.py"), "--disable-fusion", "--disable-optimization"],
                stdout=said, stderr=said, cwd=self._folder.parent, text=True,
                env={**inherited, **self._environment, "MONITORING_PORT": str(port),
                     "PYTHONPATH": os.pathsep.join(map(str, _PATHS))},
            )  # fmt: skip

    def answered(self) -> bool:
        """Whether it answers by now; fails with what it said if it ended instead."""
        assert self.lives(), self._said.read_text()
        return bool(self.readiness())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        headers = {"X-API-Key": KEY, **more.pop("headers", {})}  # type: ignore[dict-item]  # headers are a mapping
        return httpx.request(method, self.url + path, headers=headers, timeout=20, trust_env=False, **more)  # type: ignore[arg-type]  # as httpx takes them

    def readiness(self) -> dict:
        """As /readyz tells; empty while it does not answer."""
        with contextlib.suppress(httpx.TransportError):
            return self.ask("GET", "/readyz").json()
        return {}

    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def leads(self) -> bool:
        return bool(self.readiness().get("leader", {}).get("here"))


@contextlib.contextmanager
def replicas(number: int, folder: Path, url: str, **environment: str) -> Iterator[list[Replica]]:
    """So many servers, all of which have answered once."""
    settings = {
        "DATABASE_URL": url, "ISM_DATA_DIR": str(folder), "ISM_ADMIN_KEY": KEY, "ISM_DEMO_MARKET": "false",
        "ISM_LEAD_LEASE_S": "2", "ISM_RETRAINING_LEASE_S": "2", "ISM_RETRAINING_AUTO_DEPLOY": "false",
        "ISM_RETRAINING_MATURITY_DAYS": "0", "ISM_FEEDBACK_TURN_S": "0.5", "ISM_HEALTH_CHECK_INTERVAL_S": "1",
        "ISM_RETRAINING_COOL_DOWN_HOURS": "0", "ISM_TRIGGER_WEEKLY_BUDGET": "0",
        "ISM_RETRAINING_WEEKLY_BUDGET": "10000",
        "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = [Replica(folder, settings | environment) for _ in range(number)]
    try:
        for each in made:
            each.start()
        for each in made:
            until(each.answered)
        yield made
    finally:
        for each in made:
            each.kill()


def until(done: Callable[[], object], limit_s: float = 60.0) -> float:
    """Seconds until something held."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < limit_s, "it took too long"
        time.sleep(0.05)
    return time.monotonic() - began


def leader_of(servers: list[Replica]) -> Replica:
    """The one that leads, once all that live agree."""
    found: list[Replica] = []

    def agreed() -> bool:
        told = [(each, each.readiness().get("leader", {})) for each in servers if each.lives()]
        found[:] = [each for each, leader in told if leader.get("here")]
        return len({leader.get("replica") for _, leader in told}) == 1 and len(found) == 1

    until(agreed)
    return found[0]


class Poster:
    """Posts events, each with a key, to whoever answers, and notes what was acknowledged.

    An event that was not acknowledged is sent again under its key, to the next server, as a sender would.
    """

    def __init__(self, servers: list[Replica]) -> None:
        self._servers = servers
        self.acknowledged: dict[str, str] = {}  # key -> identifier
        self.failed = 0
        self.last_s = 0.0  # of the monotonic clock, when something was acknowledged
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Poster":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        places = itertools.cycle(range(len(self._servers)))
        for number in itertools.count():
            key = f"key-{number}"
            while not self._post(self._servers[next(places)], key, number):
                if self._stop.is_set():
                    return
                self.failed += 1
                time.sleep(0.02)
            if self._stop.is_set():
                return

    def _post(self, server: Replica, key: str, number: int) -> bool:
        event = {"type": "user_feedback", "data": {"model_name": "gnn", "rating": 4, "feedback": f"number {number}"}}
        try:
            answer = server.ask("POST", "/api/feedback", json=event, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return False
        if answer.status_code not in {200, 201}:
            return False
        identifier = answer.json()["feedback_id"]
        assert self.acknowledged.setdefault(key, identifier) == identifier
        self.last_s = time.monotonic()
        return True
