import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ism.domain.errors import InvalidInputError
from ism.domain.feedback import FeedbackEvent
from ism.feedback.arrival import Limits, read

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits()
RATING = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 4}}


def digest(sent: object, now: datetime = NOW) -> str:
    return read(sent, now, LIMITS).event.digest


def test_the_short_form_is_completed() -> None:
    event = read({"type": "error", "data": {"x": 1}}, NOW, LIMITS).event
    assert (event.event_type, event.source, event.priority, event.metadata) == ("error", "user", 3, "{}")
    assert event.event_time == NOW
    assert len(event.event_id) == 32


def test_the_long_form_is_a_feedback_event() -> None:
    sent = FeedbackEvent("e", "match_outcome", "external", {"recommendation_id": "r", "outcome": "delivered"}, NOW)
    arrival = read(sent, NOW, LIMITS)
    assert (arrival.event.event_id, arrival.event.recommendation_id) == ("e", "r")
    assert json.loads(arrival.event.data) == sent.data
    assert digest(sent) == digest(replace(sent, recorded_at=NOW + timedelta(days=3)))


def test_the_digest_is_of_what_was_said() -> None:
    base = digest(RATING)
    assert digest(RATING, NOW + timedelta(hours=1)) == base  # a retry comes later
    assert digest({**RATING, "event_id": "other"}) == base
    assert digest({**RATING, "data": {"rating": 4.0, "model_name": "matching"}}) == base
    assert digest({"event_type": "user_feedback", "data": RATING["data"]}) == base
    for change in ({"priority": 4}, {"metadata": {"a": 1}}, {"source": "system"}, {"event_time": NOW.isoformat()}):
        assert digest({**RATING, **change}) != base
    zone = {**RATING, "event_time": "2026-03-01T13:00:00+01:00"}
    assert digest(zone) == digest({**RATING, "event_time": "2026-03-01T12:00:00Z"})


def test_a_key_names_the_event() -> None:
    one, two = (read(RATING, NOW, LIMITS, "k").event for _ in range(2))
    assert one.event_id == two.event_id
    assert one.idempotency_key == "k"
    assert read(RATING, NOW, LIMITS, "other").event.event_id != one.event_id
    assert read({**RATING, "event_id": "mine"}, NOW, LIMITS, "k").event.event_id == "mine"


@pytest.mark.parametrize(
    ("ahead", "fine"), [(-180 * 86400, True), (-180 * 86400 - 1, False), (300, True), (301, False)]
)
def test_times_have_limits(ahead: float, fine: bool) -> None:
    sent = {**RATING, "event_time": NOW + timedelta(seconds=ahead)}
    if fine:
        assert read(sent, NOW, LIMITS).event.event_time == sent["event_time"]
    else:
        with pytest.raises(InvalidInputError, match="event_time"):
            read(sent, NOW, LIMITS)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"rating": math.nan}, "data.rating"),
        ({"rating": 1, "more": math.inf}, "data.more"),
        ({"rating": 1, "more": 2**70}, "data.more"),
        ({"rating": 1, "more": {1: 2}}, "data.more"),
        ({"rating": 1, "more": object()}, "data.more"),
        ({"rating": 1, "more": "x" * 70_000}, "data"),
        ({"rating": 1, 5: 1}, "data"),
        ({"rating": 1, "actor_id": ""}, "data.actor_id"),
        ({"rating": 1, "feedback": "x" * 10_001}, "data.feedback"),
        ({"rating": 1, "recommendation_id": 7}, "data.recommendation_id"),
    ],
)
def test_values_that_cannot_be_stored_are_named(data: dict[object, object], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read({"type": "user_feedback", "data": {"model_name": "m", **data}}, NOW, LIMITS)
    assert refused.value.field == field


def test_a_value_without_end_is_refused() -> None:
    deep: list[object] = []
    deep.append(deep)
    with pytest.raises(InvalidInputError, match="16 levels"):
        read({"type": "error", "data": {"deep": deep}}, NOW, LIMITS)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["type", "source", "data", "event_id", "event_time", "priority", "metadata"])


@given(JSON | st.dictionaries(FIELDS, JSON | st.sampled_from(["error", "user", {"rating": 3, "model_name": "m"}])))
@settings(max_examples=200, deadline=None)
def test_whatever_is_sent_is_read_or_refused(sent: object) -> None:
    try:
        event = read(sent, NOW, LIMITS).event
    except InvalidInputError as error:
        named = error.field
    else:
        named = json.loads(event.data)
    assert isinstance(named, str | dict)
