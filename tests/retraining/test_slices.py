import numpy as np
import pytest

from ism.retraining.slices import compare_slices, holm


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_slice_that_is_worse_is_found_and_small_ones_are_listed_untested():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    gaps = rng.normal(0.1, 0.1, 200)
    bad = groups < 12
    gaps[bad] -= 0.3
    few = groups >= 38
    found = compare_slices(gaps, groups, {"bad": bad, "rest": ~bad, "few": few, "none": groups > 99}, 5)
    assert [one.name for one in found] == ["bad", "rest", "few"]
    assert found[0].p_worse < 1e-4
    assert found[1].p_worse > 0.9
    assert (found[2].p_worse, found[2].groups) == (None, 2)


def test_twenty_slices_of_nothing_raise_few_alarms():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 2)
    alarms = 0
    for _ in range(200):
        slices = {str(number): rng.uniform(size=120) < 0.3 for number in range(20)}
        found = compare_slices(rng.normal(size=120), groups, slices, 5)
        alarms += any(one.p_worse is not None and one.p_worse <= 0.05 for one in found)
    assert alarms <= 20  # 10 expected at most; without correction more than 100
