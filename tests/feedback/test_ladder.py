import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.ladder import LADDER, RUNG, furthest, join, join_events

events = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, len(LADDER) - 1), st.floats(0, 1e9, allow_nan=False)), max_size=30
)


def state(rows):
    subject, rung, time = (
        np.asarray(column, kind)
        for column, kind in zip(list(zip(*rows, strict=True)) or [(), (), ()], (np.intp, np.intp, float), strict=True)
    )
    return join_events(subject, rung, time, 4)


@given(events, st.randoms())
def test_shuffled_and_repeated_events_lead_to_the_same_state(rows, random):
    again = [*rows, *rows[: len(rows) // 2]]
    random.shuffle(again)
    assert np.array_equal(state(rows), state(again))


@given(events, events)
def test_states_join_as_the_events_do(left, right):
    assert np.array_equal(join(state(left), state(right)), state([*left, *right]))


@given(events, events)
def test_the_stage_only_grows(left, right):
    assert (furthest(state([*left, *right])) >= furthest(state(left))).all()


def test_a_late_event_in_the_middle_changes_no_end():
    delivered = [(0, RUNG["shown"], 1.0), (0, RUNG["delivered"], 9.0)]
    late = [(0, RUNG["contacted"], 2.0)]
    assert LADDER[furthest(state([*delivered, *late]))[0]] == "delivered"
    assert state([*delivered, *late])[0, RUNG["contacted"]] == 2.0


def test_what_ends_a_negotiation_stands_above_it_and_facts_above_words():
    def end(*outcomes):
        return LADDER[furthest(state([(0, RUNG[name], float(n)) for n, name in enumerate(outcomes)]))[0]]

    assert end("rejected", "accepted") == "rejected"
    assert end("rejected", "delivered") == "delivered"
    assert end("failed", "rejected") == "failed"
    assert end("delivered", "failed") == "delivered"


def test_nothing_reached():
    assert furthest(state([])).tolist() == [-1] * 4
