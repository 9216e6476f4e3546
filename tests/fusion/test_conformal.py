import numpy as np
import pytest

from bench.fusion_sets import simulated
from ism.domain.errors import InvalidInputError
from ism.fusion.conformal import Conformal, fit_conformal, how_sure, reach


def test_reach_by_hand():
    fused = np.asarray([0.4, 0.1, 0.3, 0.2])
    assert reach(fused, np.asarray([False, False, True, False])) == pytest.approx(0.7)
    assert reach(fused, np.asarray([False, True, False, True])) == pytest.approx(0.9)  # the best right one counts
    assert reach(np.asarray([0.5, 0.5]), np.asarray([True, False])) == pytest.approx(1.0)  # ties stand before
    assert reach(fused, np.zeros(4, bool)) == float("inf")


def test_every_group_weighs_the_same():
    """Three groups: one in four for "none", one in four for each group, whatever its size."""
    found = fit_conformal(np.asarray([0.2, 0.4, 0.6, 0.9]), np.asarray([1, 1, 2, 3]))
    assert found.weights == pytest.approx((1 / 8, 1 / 8, 1 / 4, 1 / 4))
    assert found.threshold(0.25) == pytest.approx(0.4)
    assert found.threshold(0.5) == pytest.approx(0.6)
    assert found.threshold(0.75) == pytest.approx(0.9)
    assert found.threshold(0.76) == float("inf")  # so few groups cannot promise more
    with pytest.raises(InvalidInputError, match="level"):
        found.threshold(1.0)


def test_the_set_ends_where_the_threshold_is_reached_with_ties():
    found = Conformal((0.5,), (0.9,), 9)
    assert found.prediction_set(np.asarray([0.2, 0.4, 0.2, 0.2]), 0.9).tolist() == [1, 0, 2, 3]
    assert found.prediction_set(np.asarray([0.1, 0.5, 0.4]), 0.9).tolist() == [1]
    assert Conformal().prediction_set(np.asarray([0.1, 0.5]), 0.9).tolist() == [1, 0]
    assert Conformal().prediction_set(np.zeros(0), 0.9).tolist() == []


def test_not_sure():
    wide = Conformal((0.3, 0.99), (0.5, 0.45), 19)
    fused = np.asarray([0.5, *[0.5 / 40] * 40])
    found = how_sure(wide, fused)
    assert (found.level, found.places, found.size) == (0.5, (0,), 41)
    assert how_sure(Conformal(), fused).level is None
    sharp = how_sure(Conformal((0.4,), (0.95,), 19), fused)
    assert (sharp.level, sharp.places) == (0.9, (0,))


def test_coverage_on_simulated_groups():
    """*Simulated*: groups differ in size and difficulty; a question of a new group. Three standard errors of 300."""
    for row in simulated(300, seed=1):
        assert row["coverage"] >= row["level"] - 3 * np.sqrt(row["level"] * (1 - row["level"]) / 300)
        assert row["size"] < 60
