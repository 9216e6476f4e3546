"""Killed at any moment and begun again: nothing is lost, nothing is doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from marketplace_fakes import Opened, number
from postgrest_standin import Project, key_of

from ism.app.marketplace.taking import DATASET
from ism.settings import Settings

ROWS = 40
PROGRAM = Path(__file__).parent / "crash_program.py"


def grow(project: Project) -> None:
    """More companies, each with an offer; and deliveries of offers that are known."""
    project.sql(
        f"insert into companies (id, name) select ('{number(0)[:-4]}' || lpad((1000 + n)::text, 4, '0'))::uuid,"
        f" 'c' || n from generate_series(1, {ROWS}) n"
    )
    project.sql(
        f"insert into materials (id, company_id, material_name, type) select"
        f" ('{number(0)[:-4]}' || lpad((2000 + n)::text, 4, '0'))::uuid,"
        f" ('{number(0)[:-4]}' || lpad((1000 + n)::text, 4, '0'))::uuid, 'm' || n, 'waste'"
        f" from generate_series(1, {ROWS}) n"
    )


def settle(project: Project) -> int:
    """Somebody contacts the first company about each offer that it was shown for; how many."""
    project.sql(
        "insert into symbiotic_matches (company_a_id, company_b_id, material_a_id, status)"
        " select company_id::uuid, receiver_id::uuid, offer_id::uuid, 'contacted' from ai_current_matches"
        " where receiver_kind = 'company'"
    )
    return int(project.sql("select count(*) as n from symbiotic_matches")[0]["n"])


def run_until_done(settings: Settings, project: Project, kills: int, luck: random.Random) -> int:
    """Run the program and kill it so many times at a random moment; how often it was killed."""
    command = [sys.executable, str(PROGRAM), str(settings.data_dir), project.url, key_of("service_role")]
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(PROGRAM.parent), str(PROGRAM.parents[1] / "app")])
    killed = 0
    while True:
        seen = len(project.requests)
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, cwd=settings.data_dir.parent)
        if killed == kills:
            assert process.wait(120) == 0
            return killed
        allowed, ends = luck.randint(1, 60), time.monotonic() + 60
        while process.poll() is None and len(project.requests) - seen < allowed:
            assert time.monotonic() < ends, "the program hangs"
            time.sleep(0.001)
        time.sleep(luck.random() * 0.02)  # also between two requests
        process.send_signal(signal.SIGKILL)
        killed += process.wait(30) != 0 or 0
        if process.returncode == 0:
            return killed


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(project: Project, connected: Settings, kills: int) -> None:
    grow(project)
    luck = random.Random(kills)
    assert run_until_done(connected, project, kills, luck) > 0
    contacted = settle(project)
    assert contacted == ROWS + 3
    run_until_done(connected, project, kills, luck)
    opened = Opened(connected)
    opened.connector.exchange()
    store = opened.store
    assert store.datasets() == {DATASET: {"company": ROWS + 4, "listing": ROWS + 4, "exchange": 1}}
    requests = project.sql("select offer_id, count(distinct request_id) as n from ai_matches group by 1")
    assert sorted(row["n"] for row in requests) == [1] * (ROWS + 3)  # each offer was matched once
    assert project.sql("select count(*) as n from ai_matches")[0]["n"] == 2 * (ROWS + 3)
    events = store.feedback.events(limit=10_000)
    assert len(events) == len({each.event.data["offer_id"] for each in events}) == contacted
    assert project.sql("select count(*) as n from ai_feedback_events")[0]["n"] == contacted
    assert store.feedback.totals().dead_letters == {}
    opened.close()
