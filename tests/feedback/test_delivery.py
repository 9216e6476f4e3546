"""What was acknowledged is there once: however often it is sent, and whenever the process dies."""

import asyncio
import random
import threading
from collections.abc import Callable
from pathlib import Path

import feedback_sender
import pytest
from killing import killed, open_place

from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import Store, open_sqlite

SETTINGS = Settings(_env_file=None)
OUTCOMES = ["shown", "opened", "contacted", "negotiating", "accepted", "rejected", "delivered", "failed"]
Log = Callable[[Store], None]
Hash = Callable[[Store], str]


def stream(count: int) -> list[dict[str, object]]:
    """Events of every kind, by identifier and by offer and receiver; every tenth cannot be used."""
    events: list[dict[str, object]] = []
    for n in range(count):
        about = {"recommendation_id": f"r{n % 20}"} if n % 2 else {"offer_id": "ash", "receiver_id": f"k{n % 20}"}
        events.append(
            {
                "type": "match_outcome",
                "source": "external",
                "event_id": f"e{n}",
                "data": {**about, "outcome": "nonsense" if n % 10 == 9 else OUTCOMES[n % 8]},
            }
        )
    return events


def deliver(store: Store, deliveries: list[dict[str, object]], writers: int) -> None:
    """Hand the deliveries in from several threads, each with a loop of its own, singly and in batches."""
    shares = [deliveries[writer::writers] for writer in range(writers)]

    async def send(orchestrator: AIFeedbackOrchestrator, share: list[dict[str, object]]) -> None:
        half = len(share) // 2
        for event in share[:half]:
            await asyncio.gather(orchestrator.ingest_feedback(event), return_exceptions=True)
        await orchestrator.ingest_batch(share[half:])

    with AIFeedbackOrchestrator(store, SETTINGS) as orchestrator:
        threads = [threading.Thread(target=lambda part=part: asyncio.run(send(orchestrator, part))) for part in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)


def test_a_stream_delivered_three_times_shuffled_by_50_writers(store: Store, log_shown: Log, state_hash: Hash) -> None:
    log_shown(store)
    events = stream(400)
    deliveries = events * 3
    random.Random(1).shuffle(deliveries)
    deliver(store, deliveries, writers=50)
    delivered = state_hash(store)
    good = [event for event in events if event["data"]["outcome"] != "nonsense"]  # type: ignore[index]  # data is a dict
    assert len(store.feedback.events(limit=10_000)) == len(good)
    letters = store.feedback.dead_letters(limit=1000)
    assert {letter.attempts for letter in letters} == {3}
    assert len(letters) == len(events) - len(good)
    deliver(store, events, writers=1)
    assert state_hash(store) == delivered


def test_the_state_is_that_of_one_delivery(tmp_path: Path, log_shown: Log, state_hash: Hash) -> None:
    events = stream(60)
    with open_sqlite(tmp_path / "once") as once, open_sqlite(tmp_path / "often") as often:
        for store, deliveries in ((once, events), (often, events[::-1] * 3)):
            log_shown(store)
            deliver(store, deliveries, writers=3)
        assert state_hash(once) == state_hash(often)


@pytest.mark.parametrize("kills", [3, pytest.param(300, marks=pytest.mark.slow)])
def test_kill_9_loses_nothing_acknowledged_and_doubles_nothing(place_again: str, kills: int) -> None:
    when, acknowledged = random.Random(kills), set[str]()
    open_place(place_again).close()
    for number in range(kills):
        arguments = (place_again, number * 10_000_000)
        acknowledged.update(killed(feedback_sender.send_forever, arguments, when.uniform(0.0, 0.4)))
    with open_place(place_again) as store:
        stored, after = [], 0
        while page := store.feedback.events(after, 10_000):
            stored += [item.event.event_id for item in page]
            after = page[-1].sequence
    assert acknowledged, "no process lived long enough to acknowledge anything"
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
