"""The log of feedback and a plain dict are told the same things in any order, and must agree."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ism.domain.errors import ConflictError, InvalidInputError
from ism.domain.market import Recommendation
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.storage import Store

NOW = datetime.now(UTC)
NAMES = st.none() | st.sampled_from(["a", "b", "é"])
KEYS = st.none() | st.sampled_from(["k1", "k2"])
ABOUT = st.one_of(
    st.sampled_from(["r0", "r1", "never"]).map(lambda name: {"recommendation_id": name}),
    st.sampled_from(["kiln", "moon"]).map(lambda name: {"offer_id": "ash", "receiver_id": name}),
)
OUTCOMES = st.sampled_from(["opened", "accepted", "nonsense"])
EVENTS = st.builds(
    lambda name, about, outcome: (
        {"type": "match_outcome", "data": {**about, "outcome": outcome}} | ({} if name is None else {"event_id": name})
    ),
    NAMES,
    ABOUT,
    OUTCOMES,
)
Event = dict[str, object]
Kept = tuple[str, object, str]  # what was said, joined to what


class Model:
    """What the log must hold: by identifier, and the identifiers by key."""

    def __init__(self) -> None:
        self.events: dict[str, Kept] = {}
        self.keys: dict[str, str] = {}
        self.unnamed = 0
        self.rejected = 0

    def take(self, event: Event, key: str | None) -> str:
        """What must become of an event."""
        data = dict(event["data"])  # type: ignore[call-overload]  # it is a dict
        joined = data.get("recommendation_id") or {"kiln": "r1"}.get(data["receiver_id"], "never")
        if data["outcome"] == "nonsense" or joined == "never":
            self.rejected += 1
            return "rejected"
        named = event.get("event_id")
        name = str(named) if named is not None else f"key {key}" if key is not None else None
        if name is None:
            self.unnamed += 1
            return "stored"
        said: Kept = (name, data, joined)
        if key is not None and self.keys.get(key, name) != name:
            return "conflict"
        if name in self.events:
            return "duplicate" if self.events[name] == said else "conflict"
        self.events[name] = said
        if key is not None:
            self.keys[key] = name
        return "stored"


class FeedbackMachine(RuleBasedStateMachine):
    store: Store  # set by the test, as is all that counts what earlier runs left
    orchestrator: AIFeedbackOrchestrator
    runs: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        self.run = next(self.runs)  # the log is for good: each run has names of its own
        self.model = Model()
        self.start = self.store.feedback.totals()
        self.letters = sum(letter.attempts for letter in self.store.feedback.dead_letters(limit=1000))

    def own(self, event: Event) -> Event:
        return {**event, "event_id": f"{self.run} {event['event_id']}"} if "event_id" in event else event

    def own_key(self, key: str | None) -> str | None:
        return None if key is None else f"{self.run} {key}"

    @rule(event=EVENTS, key=KEYS)
    def one(self, event: Event, key: str | None) -> None:
        expected = self.model.take(event, key)
        sending = self.orchestrator.ingest_feedback(self.own(event), self.own_key(key))
        if expected in {"stored", "duplicate"}:
            assert asyncio.run(sending)
        else:
            with pytest.raises(ConflictError if expected == "conflict" else InvalidInputError):
                asyncio.run(sending)

    @rule(events=st.lists(EVENTS, max_size=6))
    def batch(self, events: list[Event]) -> None:
        expected = [self.model.take(event, None) for event in events]
        results = asyncio.run(self.orchestrator.ingest_batch([self.own(event) for event in events]))
        assert [result.status for result in results] == expected

    @rule(events=st.lists(EVENTS.filter(lambda event: "event_id" in event), min_size=2, max_size=5, unique_by=str))
    def at_once(self, events: list[Event]) -> None:
        """Different events of different names, from as many tasks: their order does not matter."""
        chosen = list({event["event_id"]: event for event in events}.values())
        expected = [self.model.take(event, None) for event in chosen]

        async def send() -> list[str]:
            told = await asyncio.gather(*(self.orchestrator.ingest_batch([self.own(event)]) for event in chosen))
            return [results[0].status for results in told]

        assert asyncio.run(send()) == expected

    @invariant()
    def same(self) -> None:
        log = self.store.feedback
        found = log.events(self.start.sequence, 10_000)
        numbers = [item.sequence for item in found]
        assert numbers == sorted(set(numbers))
        named = {
            item.event.event_id.removeprefix(f"{self.run} "): (item.event.data, item.recommendation_id)
            for item in found
            if item.event.event_id.startswith(f"{self.run} ")
        }
        by_name = {name: said[1:] for name, said in self.model.events.items() if not name.startswith("key ")}
        assert named == by_name
        assert len(found) == len(self.model.events) + self.model.unnamed
        attempts = sum(letter.attempts for letter in log.dead_letters(limit=1000))
        assert attempts == self.letters + self.model.rejected


def test_the_log_agrees_with_a_dict(store: Store, orchestrator: AIFeedbackOrchestrator) -> None:
    first = Recommendation("r0", "q0", 1, "company", "kiln", 0.5, 0.5, 0.5, offer={"offer_id": "ash"}, created_at=NOW)
    second = replace(first, recommendation_id="r1", request_id="q1", created_at=NOW + timedelta(milliseconds=1))
    store.log_recommendations([first, second])
    made = {"store": store, "orchestrator": orchestrator, "runs": iter(range(10_000))}
    run_state_machine_as_test(
        type("Machine", (FeedbackMachine,), made),
        settings=settings(
            phases=[Phase.generate],  # shrinking would write to disk for minutes
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
