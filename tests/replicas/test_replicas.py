"""Three servers on one database: kill any of them, also the one that leads, and nothing is lost or done twice."""

import os
import random
import time
from pathlib import Path

import counting
import httpx
import pytest
from replica_effects import check_events, check_job, check_judged, rests
from replica_processes import KEY, Poster, leader_of, replicas, until

from ism.storage import open_postgres

pytestmark = pytest.mark.postgres


def test_the_leader_is_killed_while_events_come_in_and_a_job_runs(postgres_url: str, tmp_path: Path) -> None:
    with open_postgres(postgres_url) as store:
        counting.fill(store)
        with replicas(3, tmp_path / "data", postgres_url) as servers:
            leader = leader_of(servers)
            others = [each for each in servers if each is not leader]
            with Poster(servers) as poster:
                job = others[0].ask("POST", "/api/retraining-jobs", json={"model_name": "counting"}).json()["job_id"]
                until(lambda: store.retraining.get_job(job).state == "TUNING")  # it is trained by the leader
                balanced = {"Host": "ism.example", "Sec-Fetch-Site": "same-origin"}  # as a browser asks any of them
                signed = leader.ask("POST", "/sign-in", data={"key": KEY}, headers=balanced)
                leader.kill()
                until(lambda: any(each.leads() for each in others), 20)
                page = httpx.get(others[0].url, headers=balanced, cookies=dict(signed.cookies), trust_env=False)
                assert (page.status_code, "Overview" in page.text) == (200, True)
                assert httpx.get(others[0].url, headers=balanced, trust_env=False).status_code == 401
                changed = others[0].ask("PATCH", "/api/config", json={"health_check_interval": 7})
                assert changed.status_code == 200, changed.text
                until(lambda: others[1].ask("GET", "/api/config").json()["config"]["health_check_interval"] == 7, 20)
                until(rests(store, job))
            check_judged(store)
        check_events(store, poster)
        check_job(store, job)
        assert store.retraining.get_job(job).fence > len(store.retraining.moves(job)) - 1  # one claim was in vain


@pytest.mark.slow
def test_any_replica_is_killed_again_and_again(postgres_url: str, tmp_path: Path) -> None:
    kills = int(os.environ.get("ISM_TEST_KILLS", "20"))
    when, jobs = random.Random(kills), list[str]()
    with open_postgres(postgres_url) as store:
        counting.fill(store)
        with replicas(3, tmp_path / "data", postgres_url) as servers:
            with Poster(servers) as poster:
                for number in range(kills):
                    leader = leader_of(servers)
                    asked = servers[number % 3].ask("POST", "/api/retraining-jobs", json={"model_name": "counting"})
                    jobs.append(asked.json()["job_id"])
                    victim = leader if number % 2 else servers[when.randrange(3)]
                    time.sleep(when.uniform(0.0, 2.0))
                    victim.kill()
                    victim.start()
                leader_of(servers)
                for job in jobs:
                    until(rests(store, job), 120)
            check_judged(store)
        check_events(store, poster)
        for job in jobs:
            check_job(store, job)
