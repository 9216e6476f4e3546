"""The whole way from the call in SPEC.md to a retraining request, by an injected clock."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from judging import DAY, START

from ism.domain.errors import EngineError, StorageError, StorageUnavailableError
from ism.domain.market import Recommendation
from ism.feedback.judge import BATCH
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import open_sqlite

RATING = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 4}}


class Flat:
    """Vectors that say nothing; remarks are read elsewhere."""

    name, dimension = "flat", 2

    def encode(self, texts):
        return np.ones((len(texts), 2), np.float32)


@pytest.fixture
def clock():
    return [START]


@pytest.fixture
def orchestrator(store, clock):
    settings = Settings(_env_file=None, schedule_zone="UTC")
    with AIFeedbackOrchestrator(store, settings, Flat(), clock=lambda: clock[0]) as opened:
        yield opened


def test_a_hundred_and_one_ratings_ask_for_a_training(orchestrator):
    async def story():
        await orchestrator.ingest_batch([RATING] * 100)
        before = await orchestrator.get_system_status()
        await orchestrator.ingest_feedback(RATING)
        return before, await orchestrator.get_system_status()

    before, after = asyncio.run(story())
    assert before["triggers"]["matching"]["last_decision"] is None
    assert before["triggers"]["matching"]["matured_events"] == 100
    assert after["triggers"]["matching"]["last_decision"] == "fired"
    assert after["triggers"]["matching"]["matured_events"] == 0  # taken in
    assert after["triggers"]["knowledge_graph"]["last_decision"] is None


def test_the_status_waits_for_the_triggers_of_a_turn_under_way(orchestrator, monkeypatch):
    evaluate, judged, go_on = orchestrator.loop.triggering.evaluate, threading.Event(), threading.Event()

    def held():
        judged.set()
        go_on.wait(20)
        return evaluate()

    monkeypatch.setattr(orchestrator.loop.triggering, "evaluate", held)
    asyncio.run(orchestrator.ingest_batch([RATING] * 101))
    with ThreadPoolExecutor(2) as pool:
        turn = pool.submit(orchestrator.loop.turn)
        assert judged.wait(20)  # nothing waits to be judged any more, and nothing is decided yet
        status = pool.submit(asyncio.run, orchestrator.get_system_status())
        with pytest.raises(TimeoutError):
            status.result(0.3)
        go_on.set()
        turn.result(20)
        assert status.result(20)["triggers"]["matching"]["last_decision"] == "fired"


def test_sixty_days_pass_in_a_moment(orchestrator, store, clock):
    store.log_recommendations(
        [Recommendation("r1", "q", 1, "company", "k", 0.5, 0.5, 1.0, offer={"material": "ash"}, created_at=START)]
    )
    said = {"type": "match_outcome", "data": {"recommendation_id": "r1", "outcome": "opened", "actor_id": "ann"}}
    asyncio.run(orchestrator.ingest_feedback(said))
    taken = []
    orchestrator.loop.deliver = taken.append
    for _ in range(60):
        clock[0] += DAY
        orchestrator.loop.turn()
    assert [item.model_name for item in taken].count("matching") == 8  # Mondays
    assert {item.trigger_type for item in taken} == {"schedule"}
    found = orchestrator.loop.labels()
    assert (found.recommendation_id.tolist(), found.label.tolist(), found.actor.tolist()) == (["r1"], [0.0], [None])
    assert store.feedback.events()[0].event.recorded_at == START


def test_a_wish_by_hand(orchestrator, clock):
    first = asyncio.run(orchestrator.request_retraining("fusion", "new codes", "olga"))
    assert (first.decision, first.trigger_type, first.cause) == ("fired", "manual", "manual")
    clock[0] += timedelta(minutes=1)
    assert asyncio.run(orchestrator.request_retraining("fusion", "again", "olga")).decision == "coalesced"


def test_the_thread_goes_on_after_a_failure(tmp_path, monkeypatch):
    with open_sqlite(tmp_path / "data") as store, AIFeedbackOrchestrator(store, Settings(_env_file=None)) as opened:
        loop, turns = opened.loop, []
        failures = [StorageError("away"), ValueError("unforeseen")]

        def turn(one_batch: bool = False):
            turns.append(time.monotonic())
            if failures:
                raise failures.pop(0)

        monkeypatch.setattr(loop, "turn", turn)
        loop.start(0.01)
        loop.start(0.01)  # one thread is enough
        deadline = time.monotonic() + 20
        while len(turns) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        loop.stop()
        loop.stop()
        assert len(turns) >= 3


@pytest.mark.parametrize("kind", [StorageUnavailableError, StorageError])
def test_a_database_that_is_away_is_no_failure_of_judging(orchestrator, monkeypatch, kind):
    """What failed is ended and begun again after ever longer rests; whoever waits for the database must not be."""

    def turn(one_batch: bool = False):
        raise kind("away")

    orchestrator.start()
    orchestrator.stop()
    monkeypatch.setattr(orchestrator.loop, "turn", turn)
    orchestrator.start()
    deadline = time.monotonic() + 20
    while orchestrator.loop.failure is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(StorageUnavailableError if kind is StorageUnavailableError else EngineError, match="away"):
        asyncio.run(orchestrator.probe())
    orchestrator.stop()


def test_who_does_not_lead_rests_however_much_waits(orchestrator):
    asked = []

    class Follower:
        leads = False

        @contextmanager
        def term(self):
            asked.append(1)
            yield False

    asyncio.run(orchestrator.ingest_batch([RATING] * BATCH))
    loop = orchestrator.loop
    loop.lead = Follower()
    loop.start(every=60.0)
    deadline = time.monotonic() + 10
    while not asked and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # thousands of turns, if it did not rest
    loop.stop()
    assert len(asked) == 1
    assert loop.status()["judged_sequence"] == 0  # what waits is left to who leads
