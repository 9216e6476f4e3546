import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.claims import AGREEMENT, FACT, RATING, claims_of
from ism.feedback.labels import SILENCE, hear_silence, resolve
from ism.feedback.ladder import RUNG


def weigh(rows, influence, count=1):
    return resolve(claims_of(rows), np.asarray(influence, float), count)


def test_a_label_by_hand():
    rows = [
        (0, 0, 0, 1.0, AGREEMENT, False, 5.0),
        (0, 1, 1, 0.0, RATING, False, 3.0),
        (0, 2, 2, 1.0, RATING, False, 4.0),
    ]
    found = weigh(rows, [0.5, 0.5, 0.2])
    assert found.good[0] == pytest.approx(0.6 * 0.5 + 0.2 * 0.2)
    assert found.bad[0] == pytest.approx(0.1)
    assert (found.value[0], found.known[0], found.matured_at[0]) == (1.0, True, 4.0)
    assert found.weight[0] == pytest.approx(0.24)
    assert found.voices.actor[found.speaker[0]] == 0


def test_what_a_system_saw_outweighs_ratings():
    seen = (0, 9, 9, 0.0, FACT, True, 8.0)
    rows = [(0, n, n, 1.0, RATING, False, 1.0) for n in range(4)]
    assert weigh([*rows, seen], np.ones(10)).value[0] == 0.0


def test_a_tie_and_the_word_of_nobody_stay_open():
    both = [(0, 0, 0, 1.0, AGREEMENT, False, 1.0), (0, 1, 1, 0.0, AGREEMENT, False, 1.0)]
    assert not weigh(both, [0.3, 0.3]).known[0]
    assert not weigh(both[:1], [0.0, 0.0]).known[0]
    assert weigh([], [], 3).known.tolist() == [False] * 3


def test_silence_after_opening_is_a_weak_no_from_the_horizon_on():
    stages = np.asarray([RUNG[name] for name in ("shown", "opened", "negotiating", "accepted")])
    quiet = weigh([], [], 4)
    found = hear_silence(quiet, stages, np.zeros(4), now=10.0, horizon=10.0)
    assert found.known.tolist() == [False, True, True, False]
    assert found.weight.tolist() == [0.0, SILENCE, SILENCE, 0.0]
    assert found.value[1] == 0.0
    assert found.matured_at[1] == 10.0
    assert not hear_silence(quiet, stages, np.zeros(4), now=9.9, horizon=10.0).known.any()


claims = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 4),
        st.integers(0, 2),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([RATING, AGREEMENT, FACT]),
        st.booleans(),
        st.integers(0, 9).map(float),
    ),
    max_size=30,
)


@given(claims, st.lists(st.floats(0, 1), min_size=5, max_size=5), st.randoms(use_true_random=False))
def test_order_repetition_and_bounds(rows, influence, random):
    found = weigh(rows, influence, 4)
    assert ((found.weight >= 0) & (found.weight <= 1)).all()
    assert (found.weight[~found.known] == 0).all()
    assert np.isfinite(found.matured_at[found.known]).all()
    shuffled = [*rows, *rows]
    random.shuffle(shuffled)
    again = weigh(shuffled, influence, 4)
    # Statements that agree in all but the speaker's trust may stand in for each other.
    plain = weigh(shuffled, [0.5] * 5, 4)
    assert plain.good == pytest.approx(weigh(rows, [0.5] * 5, 4).good)
    assert len(again.voices) == len(found.voices)
