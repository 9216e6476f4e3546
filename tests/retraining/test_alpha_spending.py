import numpy as np
import pytest
from scipy.special import zeta

from ism.retraining.alpha_spending import level, weight


def test_weights_fall_and_add_up_to_one():
    ages = np.arange(1, 200_001)
    values = np.asarray([weight(int(age)) for age in ages])
    assert (np.diff(values) < 0).all()
    rest = zeta(1.6, 200_001) / zeta(1.6)
    assert values.sum() + rest == pytest.approx(1.0, abs=1e-6)
    assert weight(0) == 0.0


def test_without_a_promotion_all_levels_together_stay_below_alpha():
    spent = sum(level([False] * looks, 0.05) for looks in range(2000))
    assert 0.045 < spent < 0.05


def test_the_first_promotion_gives_nothing_back_and_later_ones_do():
    assert level([False, True], 0.05) == level([False, False], 0.05)
    assert level([True, True], 0.05) == pytest.approx(0.05 * (weight(3) + weight(1)))
    assert all(level([True] * looks, 0.05) < 0.05 * (1 + looks) for looks in range(5))
