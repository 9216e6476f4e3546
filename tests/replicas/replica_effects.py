"""What must be found in the store, whatever was killed."""

from collections.abc import Callable
from itertools import pairwise

from replica_processes import Poster, until
from sqlalchemy import func, select

from ism.domain.retraining import ENDED
from ism.feedback.judge import CONSUMER
from ism.storage import Store
from ism.storage.feedback_schema import statement


def check_events(store: Store, poster: Poster) -> None:
    """Every acknowledged event is there, and no event twice."""
    stored, after = [], 0
    while page := store.feedback.events(after, 10_000):
        stored += [(item.event.event_id, item.event.data["feedback"]) for item in page]
        after = page[-1].sequence
    assert poster.acknowledged, "nothing was acknowledged"
    assert set(poster.acknowledged.values()) <= {identifier for identifier, _ in stored}
    assert len({text for _, text in stored}) == len(stored)


def check_judged(store: Store) -> None:
    """Every event has been judged, once."""
    until(lambda: store.feedback.cursor(CONSUMER) == store.feedback.totals().sequence, 30)
    with store._database.read() as connection:  # type: ignore[attr-defined]  # counts more than the store shows
        judged = connection.scalar(select(func.count()).select_from(statement))
    assert judged == sum(store.feedback.totals().events.values())


def check_job(store: Store, job_id: str) -> None:
    """Each move of a job was made once, and what it made is there once."""
    job, moves = store.retraining.get_job(job_id), store.retraining.moves(job_id)
    assert [move.number for move in moves] == list(range(len(moves)))
    assert all(before.to_state == after.from_state for before, after in pairwise(moves))
    assert job.state != "FAILED", job.error_message
    assert len([v for v in store.retraining.versions("counting") if v.job_id == job_id]) == (job.state == "STAGED")
    looks = [look.evidence["move"] for look in store.retraining.looks("counting") if look.job_id == job_id]
    assert len(set(looks)) == len(looks)


def rests(store: Store, job_id: str) -> Callable[[], bool]:
    """Whether a job has ended, or waits: for people, for more to mature, or for one that waits."""

    def done() -> bool:
        job = store.retraining.get_job(job_id)
        waits = job.state in {"EVALUATED", "DEFERRED"} and job.not_before is not None
        return job.state in ENDED or job.state == "STAGED" or waits

    return done
