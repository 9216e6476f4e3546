import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ism.feedback.censoring import censoring_survival, censoring_weights


def test_the_estimate_by_hand():
    # At 2: one outcome leaves first, then one of the two still watched is lost: 1/2. At 3 the last one is lost.
    found = censoring_survival(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, False, True, False]))
    assert found.time.tolist() == [2.0, 3.0]
    assert found.value.tolist() == [0.5, 0.0]
    assert found.before(np.array([1.0, 2.0, 2.5, 3.0, 9.0])).tolist() == [1.0, 1.0, 0.5, 0.5, 0.0]
    assert found.reach == 3.0


def test_weights_by_hand():
    watched = np.array([1.0, 1.5, 2.0, 3.0, 3.0, 9.0])
    resolved = np.array([True, False, False, True, False, True])
    # Horizon 3: the last three are known. Lost at 1.5 (1 of 5) and 2 (1 of 4): 4/5 * 3/4 = 0.6 are still watched at 3.
    assert censoring_weights(watched, resolved, 3.0) == pytest.approx([1.0, 0.0, 0.0, 1 / 0.6, 1 / 0.6, 1 / 0.6])


def test_without_data():
    assert censoring_weights(np.zeros(0), np.zeros(0, bool), 1.0).shape == (0,)
    assert censoring_survival(np.zeros(0), np.zeros(0, bool)).reach == 0.0


@given(
    arrays(float, st.shared(st.integers(1, 40), key="n"), elements=st.floats(0, 100)),
    arrays(bool, st.shared(st.integers(1, 40), key="n")),
    st.randoms(use_true_random=False),
)
def test_bounds_and_order(watched, resolved, random):
    weights = censoring_weights(watched, resolved, 50.0, smallest=0.05)
    known = resolved | (watched >= 50.0)
    assert (weights[~known] == 0).all()
    assert ((weights[known] >= 1) & (weights[known] <= 20 + 1e-9)).all()
    order = np.asarray(random.sample(range(len(watched)), len(watched)))
    assert censoring_weights(watched[order], resolved[order], 50.0) == pytest.approx(weights[order])


def test_delays_that_differ_by_outcome_bias_the_plain_share_and_not_the_weighted_one():
    rng = np.random.default_rng(0)
    plain, weighted, truth = [], [], []
    for _ in range(40):
        good = rng.random(2000) < 0.3
        delay = np.where(good, rng.exponential(12.0, 2000), rng.exponential(4.0, 2000))  # a yes takes longer
        age = rng.uniform(0.0, 60.0, 2000)
        resolved, watched = delay <= age, np.minimum(delay, age)
        weights = censoring_weights(watched, resolved, 45.0)
        within = good & (delay <= 45.0)
        truth.append(within.mean())
        plain.append(good[resolved].mean())
        weighted.append((weights * within * resolved).sum() / weights.sum())
    error = np.asarray(weighted) - truth
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(len(error))
    assert np.mean(plain) < np.mean(truth) - 0.01
