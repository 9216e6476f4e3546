import numpy as np
import pytest
from scipy.optimize import approx_fprime

from ism.engines.knowledge_graph.choice import Choices, fit_weights
from ism.engines.training import RankingProblem


def planted(weights, choices=1500, pairs=8, seed=0):
    """Choices made with probability proportional to ``exp(w . x)``."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(choices, pairs, len(weights)))
    utility = columns @ np.asarray(weights) + rng.gumbel(size=(choices, pairs))
    relevant = utility == utility.max(axis=1, keepdims=True)
    sizes = np.full(choices, pairs, dtype=np.int32)
    flat = columns.reshape(-1, len(weights))
    return RankingProblem(flat.astype(np.float32), relevant.ravel(), sizes), flat


def test_planted_weights_are_found():
    problem, columns = planted([1.5, 0.5, 0.0, 3.0])
    found = fit_weights(problem, columns.astype(np.float32), np.zeros(4, np.float32), 0.01)
    np.testing.assert_allclose(found, [1.5, 0.5, 0.0, 3.0], atol=0.2)


def test_weights_are_never_negative():
    problem, columns = planted([2.0, -2.0])
    found = fit_weights(problem, columns.astype(np.float32), np.float32([1, 1]), 0.01)
    assert found[1] == 0.0
    assert found[0] > 0.5


def test_prior_and_data_share_the_say():
    prior = np.float32([0.3, 2.0])
    problem, columns = planted([1.5, 0.5])
    columns = columns.astype(np.float32)
    np.testing.assert_allclose(fit_weights(problem, columns, prior, 1e7), prior, atol=0.01)
    gaps = [np.abs(fit_weights(problem, columns, prior, l2) - prior).max() for l2 in (0.1, 100.0, 10_000.0)]
    assert gaps == sorted(gaps, reverse=True)


@pytest.mark.parametrize("several", [False, True])
def test_the_slope_is_that_of_the_value(several):
    problem, columns = planted([1.0, 0.5, 0.2], choices=40)
    relevant = problem.relevant.copy()
    if several:
        relevant[::5] = True
    uneven = np.asarray([8] * 20 + [4] * 40, dtype=np.int32)
    relevant[np.concatenate([[0], np.cumsum(uneven)[:-1]])] = True
    choices = Choices.of(RankingProblem(problem.features, relevant, uneven), columns)
    weights = np.asarray([0.7, 0.1, 1.3])
    _, slope = choices.log_likelihood(weights)
    measured = approx_fprime(weights, lambda w: choices.log_likelihood(w)[0], 1e-6)
    np.testing.assert_allclose(slope, measured, rtol=1e-4, atol=1e-4)


def test_likelihood_by_hand():
    """Two receivers with utilities 0 and ln 3: shares 1/4 and 3/4; then two takers of three equal receivers."""
    columns = np.asarray([[0.0], [np.log(3.0)], [5.0], [5.0], [5.0]])
    problem = RankingProblem(columns, np.asarray([False, True, True, False, True]), np.asarray([2, 3]))
    choices = Choices.of(problem, columns)
    value, slope = choices.log_likelihood(np.asarray([1.0]))
    assert choices.share.tolist() == [0, 1, 0.5, 0, 0.5]
    assert value == pytest.approx(np.log(0.75) + np.log(1 / 3))
    assert slope == pytest.approx([np.log(3.0) * 0.25])
    huge, _ = choices.log_likelihood(np.asarray([1e5]))
    assert np.isfinite(huge)  # no overflow
