"""Helpers for feedback that is sent by many."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from ism.domain.market import Recommendation
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import Store

SHOWN = [f"r{number}" for number in range(20)]


@pytest.fixture
def orchestrator(store: Store) -> Iterator[AIFeedbackOrchestrator]:
    """On an empty store of each kind."""
    with AIFeedbackOrchestrator(store, Settings(_env_file=None)) as opened:
        yield opened


@pytest.fixture
def log_shown() -> Callable[[Store], None]:
    """Logs twenty recommendations, of receivers k0, k1, ... for the offer ash."""

    def log(store: Store) -> None:
        at = datetime.now(UTC)
        store.log_recommendations(
            [
                Recommendation(
                    name, "q", rank, "company", f"k{rank - 1}", 0.5, 0.5, 0.5, offer={"offer_id": "ash"}, created_at=at
                )
                for rank, name in enumerate(SHOWN, 1)
            ]
        )

    return log


@pytest.fixture
def state_hash() -> Callable[[Store], str]:
    """A digest of all that the log says, whatever the order in which it came."""

    def digest(store: Store) -> str:
        events, after = [], 0
        while page := store.feedback.events(after, 10_000):
            events += [repr((item.event.event_id, item.event.data, item.recommendation_id)) for item in page]
            after = page[-1].sequence
        return hashlib.sha256("\n".join(sorted(events)).encode()).hexdigest()

    return digest
