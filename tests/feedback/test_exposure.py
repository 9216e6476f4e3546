import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.exposure import exposure_weights, fit_examination, power_law


def test_power_law():
    assert power_law(np.array([1, 2, 4])).tolist() == [1.0, 0.5, 0.25]
    assert power_law(np.array([1, 9]), severity=0.0).tolist() == [1.0, 1.0]


def test_weights_by_hand():
    weights = exposure_weights(np.array([1, 2, 2, 50]), np.array([1.0, 1.0, 0.5, 1.0]), np.array([1.0, 0.5]), clip=0.3)
    assert weights == pytest.approx([1.0, 2.0, 1 / 0.3, 2.0])  # later ranks count as the last known one


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1)), min_size=1, max_size=30))
def test_weights_are_bounded(rows):
    rank, propensity = np.asarray([row[0] for row in rows]), np.asarray([row[1] for row in rows])
    weights = exposure_weights(rank, propensity, power_law(np.arange(1, 31)), clip=0.1)
    assert ((weights >= 1) & (weights <= 10 + 1e-9)).all()


def shown(severity, lists, seed):
    """Lists whose order is a noisy view of how attractive their members are, and what was opened of them."""
    rng = np.random.default_rng(seed)
    worth = rng.beta(1, 2, (lists, 10))
    order = np.argsort(-(worth + rng.normal(0, 0.15, worth.shape)), axis=1)
    worth = np.take_along_axis(worth, order, 1).ravel()
    rank = np.tile(np.arange(1, 11), lists)
    opened = rng.random(len(rank)) < power_law(rank, severity) * worth
    return rank, opened.astype(float), worth


@pytest.mark.parametrize("severity", [0.3, 0.7, 1.5])
def test_the_examination_is_found_from_the_log(severity):
    rank, opened, worth = shown(severity, 4000, seed=1)
    truth = power_law(np.arange(1, 11), severity)
    fitted = fit_examination(rank, opened, worth)
    assert fitted[0] == 1.0
    plain = np.bincount(rank - 1, opened) / np.bincount(rank - 1)
    naive = np.abs(plain / plain[0] - truth).mean()  # takes worse places for less examined ones
    assert np.abs(fitted - truth).mean() < 0.06
    assert np.abs(fitted - truth).mean() < naive / 2


def test_without_views_the_prior_stands():
    none = np.zeros(0)
    assert fit_examination(none.astype(int), none, none).tolist() == [1.0]


def test_weighting_takes_the_position_out_of_the_mean():
    rank, opened, worth = shown(0.7, 4000, seed=2)
    weights = exposure_weights(rank, np.ones(len(rank)), power_law(np.arange(1, 11), 0.7), clip=0.05)
    assert (opened * weights).mean() == pytest.approx(worth.mean(), abs=0.01)
    assert opened.mean() < worth.mean() - 0.1
