import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.domain.feedback import Outcome
from ism.feedback.priority import priority_of


@pytest.mark.parametrize(
    ("kind", "what", "expected"),
    [
        ("error", {}, 5),
        ("match_outcome", {"outcome": "failed"}, 5),
        ("user_feedback", {"rating": 4, "sentiment": "negative", "topic": "permits"}, 5),
        ("match_outcome", {"outcome": "rejected"}, 4),
        ("user_feedback", {"rating": 1, "sentiment": "negative", "topic": "price"}, 4),
        ("user_feedback", {"rating": 2}, 3),
        ("user_feedback", {"sentiment": "negative", "topic": "price"}, 3),
        ("user_feedback", {"rating": 3}, 2),
        ("match_outcome", {"outcome": "delivered"}, 2),
        ("user_feedback", {"rating": 5, "sentiment": "positive"}, 1),
        ("match_outcome", {"outcome": "opened"}, 1),
        ("system_metric", {}, 1),
    ],
)
def test_each_rule(kind, what, expected):
    assert priority_of(kind, **what) == expected


@given(
    st.none() | st.integers(1, 5),
    st.none() | st.sampled_from(Outcome.__args__),
    st.none() | st.sampled_from(["positive", "neutral", "negative"]),
    st.none() | st.sampled_from(["permits", "price"]),
)
def test_a_worse_rating_is_never_less_urgent(rating, outcome, sentiment, topic):
    def of(stars):
        return priority_of("user_feedback", rating=stars, outcome=outcome, sentiment=sentiment, topic=topic)

    assert 1 <= of(rating) <= 5
    assert [of(stars) for stars in (1, 2, 3, 4, 5)] == sorted((of(stars) for stars in (1, 2, 3, 4, 5)), reverse=True)
