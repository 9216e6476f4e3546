from datetime import UTC, datetime, timedelta

import pytest

from ism.domain.market import Recommendation
from ism.feedback import joining
from ism.feedback.arrival import Arrival, Limits, read
from ism.feedback.joining import Joiner
from ism.storage import Store

SHOWN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SKEW = timedelta(minutes=5)


@pytest.fixture
def joiner(store: Store) -> Joiner:
    store.log_recommendations(
        [Recommendation("r", "q", 1, "company", "kiln", 0.5, 0.5, 0.5, offer={"offer_id": "ash"}, created_at=SHOWN)]
    )
    return Joiner(store.feedback, 180 * DAY, SKEW)


def arrival(after: timedelta, **about: str) -> Arrival:
    at = SHOWN + after
    return read({"type": "match_outcome", "data": {"outcome": "opened", **about}, "event_time": at}, at, Limits())


@pytest.mark.parametrize("about", [{"recommendation_id": "r"}, {"offer_id": "ash", "receiver_id": "kiln"}])
def test_an_event_joins_within_the_window(joiner: Joiner, about: dict[str, str]) -> None:
    inside = [arrival(after, **about) for after in (timedelta(), DAY, 180 * DAY, -SKEW)]
    assert joiner.join(inside) == [None] * 4
    assert {item.event.recommendation_id for item in inside} == {"r"}
    late, early = joiner.join([arrival(181 * DAY, **about), arrival(-SKEW - timedelta(seconds=1), **about)])
    assert late is not None
    assert "181 days before" in str(late)
    assert early is not None
    assert "before" in str(early)


def test_an_event_about_a_model_joins_nothing(joiner: Joiner) -> None:
    event = read({"type": "user_feedback", "data": {"model_name": "gnn", "rating": 1}}, SHOWN, Limits())
    assert joiner.join([event]) == [None]
    assert event.event.recommendation_id is None


def test_what_was_never_shown_is_asked_for_again(store: Store, joiner: Joiner) -> None:
    later = arrival(DAY, recommendation_id="s")
    assert "ever shown" in str(joiner.join([later])[0])
    store.log_recommendations([Recommendation("s", "q2", 1, "company", "k", 0.5, 0.5, 0.5, created_at=SHOWN)])
    assert joiner.join([later]) == [None]


def test_what_is_remembered_is_bounded(store: Store, joiner: Joiner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_MOST_REMEMBERED", 2)
    store.log_recommendations(
        [Recommendation(f"s{n}", f"p{n}", 1, "company", "k", 0.5, 0.5, 0.5, created_at=SHOWN) for n in range(4)]
    )
    for group in (["r", "s0"], ["s0", "s1"], ["r"], ["s2", "s3"]):
        assert joiner.join([arrival(DAY, recommendation_id=name) for name in group]) == [None] * len(group)
        assert len(joiner._shown) <= 2
