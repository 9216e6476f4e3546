"""Three servers on one database: kill any of them, also the one that leads, and nothing is lost or done twice."""

import random
from collections.abc import Callable
from pathlib import Path

import counting
import pytest
from replica_processes import Poster, Replica, replicas, until

from ism.domain.retraining import ENDED
from ism.storage import Store, open_postgres

pytestmark = pytest.mark.postgres


def leader_of(servers: list[Replica]) -> Replica:
    """The one that leads, once all others agree."""

    def agreed() -> bool:
        told = [each.readiness().get("leader", {}) for each in servers if each.process and each.process.poll() is None]
        return len({each.get("replica") for each in told}) == 1 and sum(bool(each.get("here")) for each in told) == 1

    until(agreed)
    return next(each for each in servers if each.leads())


def check_events(store: Store, poster: Poster) -> None:
    """Every acknowledged event is there, and no event twice."""
    stored, after = [], 0
    while page := store.feedback.events(after, 10_000):
        stored += [(item.event.event_id, item.event.data["message"]) for item in page]
        after = page[-1].sequence
    assert poster.acknowledged, "nothing was acknowledged"
    assert set(poster.acknowledged.values()) <= {identifier for identifier, _ in stored}
    assert len({message for _, message in stored}) == len(stored)


def check_job(store: Store, job_id: str) -> None:
    """A job has come to its end or waits for people, each of its moves made once."""
    job, moves = store.retraining.get_job(job_id), store.retraining.moves(job_id)
    assert [move.number for move in moves] == list(range(len(moves)))
    assert all(before.to_state == after.from_state for before, after in zip(moves, moves[1:], strict=False))
    assert len([v for v in store.retraining.versions("counting") if v.job_id == job_id]) == (job.state == "STAGED")


def rests(store: Store, job_id: str) -> Callable[[], bool]:
    """Whether a job has ended, or waits for more to mature or for people."""

    def done() -> bool:
        job = store.retraining.get_job(job_id)
        return job.state in ENDED or job.state == "STAGED" or (job.state == "EVALUATED" and job.not_before is not None)

    return done


def test_the_leader_is_killed_while_events_come_in_and_a_job_runs(postgres_url: str, tmp_path: Path) -> None:
    with open_postgres(postgres_url) as store:
        counting.fill(store)
        with replicas(3, tmp_path / "data", postgres_url) as servers:
            leader = leader_of(servers)
            others = [each for each in servers if each is not leader]
            with Poster(servers) as poster:
                job = others[0].ask("POST", "/api/retraining-jobs", json={"model_name": "counting"}).json()["job_id"]
                until(lambda: store.retraining.get_job(job).state == "TUNING")  # it is trained by the leader
                leader.kill()
                until(lambda: any(each.leads() for each in others), 20)
                changed = others[0].ask("PATCH", "/api/config", json={"health_check_interval": 7})
                assert changed.status_code == 200, changed.text
                until(lambda: others[1].ask("GET", "/api/config").json()["config"]["health_check_interval"] == 7, 20)
                until(rests(store, job))
        check_events(store, poster)
        check_job(store, job)
        assert store.retraining.get_job(job).fence > len(store.retraining.moves(job)) - 1  # one claim was in vain


@pytest.mark.slow
@pytest.mark.parametrize("kills", [20])
def test_any_replica_is_killed_again_and_again(postgres_url: str, tmp_path: Path, kills: int) -> None:
    when, jobs = random.Random(kills), list[str]()
    with open_postgres(postgres_url) as store:
        counting.fill(store)
        with replicas(3, tmp_path / "data", postgres_url) as servers, Poster(servers) as poster:
            for number in range(kills):
                leader = leader_of(servers)
                asked = servers[number % 3].ask("POST", "/api/retraining-jobs", json={"model_name": "counting"})
                jobs.append(asked.json()["job_id"])
                victim = leader if number % 2 else servers[when.randrange(3)]
                until(lambda after=when.uniform(0.0, 2.0), began=[0.0]: began.append(0.05) or sum(began) > after)  # type: ignore[misc]  # a random pause
                victim.kill()
                victim.start()
            leader_of(servers)
            for job in jobs:
                until(rests(store, job), 120)
        check_events(store, poster)
        for job in jobs:
            check_job(store, job)
