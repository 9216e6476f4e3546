import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.retraining import Deployment, GateLook, LedgerEntry, ModelVersion, RetrainingJob

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(number=0, model="matching", **changes):
    made = RetrainingJob(f"j{number}", model, "manual", {"retraining_type": "full"}, "REQUESTED", NOW)
    return replace(made, **changes)


def version(number=0, **changes):
    made = ModelVersion(
        f"v{number}", "matching", 0, "a" * 64, {"engine.json": "b" * 64}, "c" * 64, "0.1.0", {"trees": 10}, 7,
        None, None, "PASS", {"ndcg@10": 0.5}, NOW,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def retraining(store):
    return store.retraining


def claim(retraining, job_id="j0", owner="a", now=NOW):
    return retraining.claim(job_id, owner, now, now + HOUR)


def test_a_job_comes_back_as_it_was_stored(retraining):
    assert retraining.add_job(job()) == job()
    assert retraining.get_job("j0") == job()
    assert retraining.jobs(model_name="gnn") == []
    with pytest.raises(NotFoundError):
        retraining.get_job("j9")


def test_each_move_is_a_row_of_the_ledger(retraining):
    retraining.add_job(job())
    held = claim(retraining)
    held = retraining.move(held, "SNAPSHOTTED", reason="Written.", detail={"snapshot": "c"}, at=NOW)
    held = retraining.move(held, "FAILED", reason="A column is missing.", at=NOW + HOUR)
    stored = retraining.get_job("j0")
    assert (stored.state, stored.status, stored.error_message) == ("FAILED", "failed", "A column is missing.")
    assert (stored.started_at, stored.completed_at, stored.detail) == (NOW, NOW + HOUR, {"snapshot": "c"})
    assert [(m.number, m.from_state, m.to_state, m.fence) for m in retraining.moves("j0")] == [
        (0, None, "REQUESTED", 0),
        (1, "REQUESTED", "SNAPSHOTTED", 1),
        (2, "SNAPSHOTTED", "FAILED", 1),
    ]
    with pytest.raises(ConflictError, match="has ended"):
        claim(retraining)
    with pytest.raises(ConflictError, match="has ended"):
        retraining.request_cancel("j0")


def test_a_move_that_the_states_do_not_allow_changes_nothing(retraining):
    retraining.add_job(job())
    held = claim(retraining)
    with pytest.raises(ConflictError, match="PROMOTED"):
        retraining.move(held, "PROMOTED", reason="No gate needed.")
    assert retraining.get_job("j0").state == "REQUESTED"
    assert len(retraining.moves("j0")) == 1


def test_a_lease_is_held_by_one_and_a_late_holder_is_fenced_off(retraining):
    retraining.add_job(job())
    first = claim(retraining)
    with pytest.raises(ConflictError, match="worked on"):
        claim(retraining, owner="b")
    second = claim(retraining, owner="b", now=NOW + 2 * HOUR)  # the first one's lease ran out
    assert second.fence == first.fence + 1
    for late in (lambda: retraining.move(first, "SNAPSHOTTED", reason="x"), lambda: retraining.renew(first, NOW)):
        with pytest.raises(ConflictError, match="taken over"):
            late()
    retraining.release(first)  # no longer its to give back
    with pytest.raises(ConflictError, match="worked on"):
        claim(retraining, owner="c", now=NOW + 2 * HOUR)
    retraining.move(second, "SNAPSHOTTED", reason="x")
    with pytest.raises(ConflictError, match="moved by another"):
        retraining.move(second, "SNAPSHOTTED", reason="the same claim again")


def test_how_far_a_step_is_is_told_until_the_next_move(retraining):
    retraining.add_job(job())
    held = retraining.move(claim(retraining), "SNAPSHOTTED", reason="x", detail={"snapshot": "c"}, at=NOW)
    retraining.renew(held, NOW + HOUR, {"step": "fitting", "progress": 0.5})
    assert retraining.get_job("j0").detail == {"snapshot": "c", "progress": {"step": "fitting", "progress": 0.5}}
    again = claim(retraining)  # of another process, after this one died
    retraining.move(again, "VALIDATED", reason="y", at=NOW)
    assert retraining.get_job("j0").detail == {"snapshot": "c"}


def test_requests_that_wait_become_one_run(retraining):
    for number in range(20):
        retraining.add_job(job(number, created_at=NOW + number * timedelta(seconds=1)))
    states = [found.state for found in retraining.jobs(model_name="matching")]
    assert states.count("REQUESTED") == 1
    assert states.count("COALESCED") == 19
    assert retraining.get_job("j7").detail == {"coalesced_into": "j0"}
    retraining.add_job(job(50, model="gnn"))
    assert retraining.get_job("j50").state == "REQUESTED"
    retraining.move(claim(retraining), "SNAPSHOTTED", reason="begun", at=NOW)
    assert retraining.add_job(job(60)).state == "REQUESTED"  # what comes after the beginning is another run
    assert retraining.begun_since("matching", NOW - HOUR) == [NOW]
    assert retraining.begun_since("matching", NOW) == []


def test_cancelling_is_a_wish_that_the_holder_sees(retraining):
    retraining.add_job(job())
    held = claim(retraining)
    retraining.request_cancel("j0")
    held = retraining.move(held, "SNAPSHOTTED", reason="x")
    assert held.job.cancel_requested
    retraining.move(held, "FAILED", reason="Cancelled.")
    assert retraining.get_job("j0").status == "cancelled"


def test_versions_are_numbered_and_a_job_stores_its_own_once(retraining):
    assert retraining.add_version(version(0, job_id="j0")).number == 1
    assert retraining.add_version(version(1, job_id="j0")).version_id == "v0"
    assert retraining.add_version(version(2)).number == 2
    assert [found.version_id for found in retraining.versions("matching")] == ["v2", "v0"]
    with pytest.raises(ConflictError):
        retraining.add_version(version(2))
    with pytest.raises(NotFoundError):
        retraining.get_version("v9")


def deployed(retraining, wanted, action="promote"):
    entry = LedgerEntry("matching", wanted.generation, action, None, wanted.champion, "tester", "test", NOW)
    return retraining.deploy(entry, wanted)


def test_what_serves_changes_by_compare_and_swap_with_a_row_each(retraining):
    for number in range(3):
        retraining.add_version(version(number))
    assert retraining.deployment("matching") == Deployment("matching")
    deployed(retraining, Deployment("matching", 1, "v0"))
    with pytest.raises(ConflictError, match="generation"):
        deployed(retraining, Deployment("matching", 1, "v1"))
    deployed(retraining, Deployment("matching", 2, "v1", "v0"))
    assert retraining.deployment("matching") == Deployment("matching", 2, "v1", "v0")
    assert [entry.to_version for entry in retraining.ledger("matching")] == ["v0", "v1"]
    with pytest.raises(ConflictError):
        deployed(retraining, Deployment("matching", 3, "unknown"))
    assert len(retraining.ledger("matching")) == 2  # the row went with the change
    for kept in ("v0", "v1"):
        with pytest.raises(ConflictError, match="serves"):
            retraining.retire(kept, NOW)
    assert retraining.retire("v2", NOW).retired_at == NOW


def test_of_promoters_that_race_one_wins_and_the_others_get_a_conflict(retraining):
    for number in range(8):
        retraining.add_version(version(number))
    ready, results = threading.Barrier(8), []

    def promote(number):
        ready.wait()
        try:
            deployed(retraining, Deployment("matching", 1, f"v{number}"))
            results.append(f"v{number}")
        except ConflictError:
            results.append("conflict")

    threads = [threading.Thread(target=promote, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results.count("conflict") == 7
    assert retraining.deployment("matching").champion in results
    assert len(retraining.ledger("matching")) == 1


def test_looks_of_the_gate_are_numbered_without_gaps(retraining):
    look = GateLook("matching", 1, "j0", "HOLD", 0.02, {"checks": []}, "# Gate", NOW)
    retraining.add_look(look)
    with pytest.raises(ConflictError, match="look 1"):
        retraining.add_look(look)
    with pytest.raises(ConflictError, match="look 3"):
        retraining.add_look(replace(look, number=3))
    with pytest.raises(InvalidInputError):
        retraining.add_look(replace(look, number=2, evidence={"value": float("nan")}))
    assert retraining.looks("matching") == [look]
