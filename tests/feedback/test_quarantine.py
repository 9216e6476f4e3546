import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.quarantine import QuarantineRules, suspicious, trailing_counts

rows = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 50).map(float)), max_size=40)


@given(rows, st.integers(1, 20))
def test_counts_are_those_of_a_plain_loop(given_rows, window):
    # Sequence numbers follow the times at which events were recorded.
    ordered = sorted(given_rows, key=lambda row: row[1])
    expected = [
        0 if group < 0 else sum(g == group and time - window < t for g, t in ordered[: place + 1])
        for place, (group, time) in enumerate(ordered)
    ]
    group = np.asarray([row[0] for row in ordered], np.intp)
    time = np.asarray([row[1] for row in ordered], float)
    assert trailing_counts(group, time, float(window)).tolist() == expected


def test_the_first_ones_stay_in():
    rules = QuarantineRules(burst=2, burst_window=10.0, copies=1, copies_window=100.0)
    actor = np.array([0, 0, 0, 1, -1, -1, -1, 0])
    text = np.array([-1, -1, -1, 5, 5, 5, -1, -1])
    time = np.array([0.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 50.0])
    burst, copied, pace, copies = suspicious(actor, text, time, rules)
    assert burst.tolist() == [False, False, True, False, False, False, False, False]
    assert copied.tolist() == [False, False, False, False, True, True, False, False]
    assert pace.tolist() == [1, 2, 3, 1, 0, 0, 0, 1]
    assert copies.tolist() == [0, 0, 0, 1, 2, 3, 0, 0]
