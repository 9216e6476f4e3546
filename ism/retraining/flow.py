"""The same steps as a flow on a Prefect server: the only room with Prefect (the extra ``prefect``).

A worker takes jobs over from the store and moves them with the very driver that runs them without Prefect, until a
model is staged; shadow, canary and what follows go on in the servers that answer. The truth about a job is its row;
Prefect starts, retries and shows. A flow, worker or server that dies leaves a lease that runs out, after which the next
run of the flow goes on where the row stands.

Workers open the store themselves, so they need one that several processes may use: PostgreSQL (``DATABASE_URL``), and a
data folder that they share with the server.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect import Flow, flow, get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from ism.domain.errors import ConfigurationError
from ism.domain.retraining import OPEN, SERVING
from ism.retraining.driver import Driver
from ism.retraining.opening import default_parts
from ism.retraining.parts import Parts
from ism.settings import Settings

POOL = "ism"
DEPLOYMENT = "retraining"
_EVERY_S = 60


@lru_cache(maxsize=1)
def _parts() -> Parts:
    settings = Settings()
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL: Prefect workers need PostgreSQL, since SQLite belongs to one process. Set it to its URL."
        )
    return replace(default_parts(settings), states=OPEN - SERVING)


@task(name="move", retries=3, retry_delay_seconds=5, task_run_name="{state}")
def move(job_id: str, state: str) -> str:
    """Make one move of a job; its state afterwards."""
    parts = _parts()
    Driver(parts).advance(job_id)
    moved = parts.store.get_job(job_id)
    last = parts.store.moves(job_id)[-1]
    get_run_logger().info("%s of %s: %s. %s", job_id, moved.model_name, moved.state, last.reason)
    return moved.state


@flow(name="ism-retraining", flow_run_name="retraining", log_prints=False)
def retraining() -> dict[str, str]:
    """Move every job that is due as far as it goes now; job -> state."""
    parts = _parts()
    found: dict[str, str] = {}
    for job in reversed(parts.store.jobs(states=parts.states, limit=1000)):
        state, moves = str(job.state), -1
        while state in parts.states and moves != parts.store.get_job(job.job_id).moves:
            moves = parts.store.get_job(job.job_id).moves
            state = move(job.job_id, state)
        found[job.job_id] = state
    return found


def deploy(every_s: int = _EVERY_S) -> None:
    """Make the work pool and the deployment, which runs the flow every so many seconds.

    Runs may overlap: a job belongs to whoever holds its lease. A limit of the deployment itself would be held by a run
    whose worker died, until somebody cancels it; that of a worker (``--limit 1``) dies with the worker.
    """
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    here: Any = Flow.from_source(source=str(Path(__file__).parents[2]), entrypoint="ism/retraining/flow.py:retraining")
    here.deploy(name=DEPLOYMENT, work_pool_name=POOL, interval=every_s, print_next_steps=False)


if __name__ == "__main__":
    deploy(int(sys.argv[1]) if len(sys.argv) > 1 else _EVERY_S)
    sys.stdout.write(f"Deployed ism-retraining/{DEPLOYMENT} to the work pool {POOL}.\n")
