import numpy as np

from ism.retraining.influence import without_most_influential


def test_the_rater_that_carries_a_gain_goes_first():
    gaps = np.asarray([0.0, 0.1, 0.9, 0.8, -0.5])
    raters = np.asarray(["a", "b", "ring", "ring", "c"])
    assert without_most_influential(gaps, raters, 0.01).tolist() == [True, True, False, False, True]


def test_many_small_cases_of_one_rater_count_together():
    gaps = np.concatenate([np.full(50, 0.2), [0.9], np.full(200, 0.0)])
    raters = np.concatenate([np.zeros(50), [1], np.arange(2, 202)])
    assert not without_most_influential(gaps, raters, 0.001)[:50].any()


def test_the_share_counts_raters_and_rounds_up():
    kept = without_most_influential(np.arange(150.0), np.arange(150), 0.01)
    assert np.flatnonzero(~kept).tolist() == [148, 149]
