import itertools

import numpy as np
import pytest

from bench.metrics import compared, difference, gains, summary
from ism.retraining.bootstrap import GroupBootstrap

NOBODY = np.zeros(0, dtype=np.intp)


def rows(*numbers):
    return np.asarray(numbers, dtype=np.intp)


def test_gains_by_hand():
    gained = gains(np.asarray([1.0, 1.5, 5.0, 10.0, 10.5, np.inf]))
    assert gained["recall@1"].tolist() == [1, 0, 0, 0, 0, 0]
    assert gained["recall@5"].tolist() == [1, 1, 1, 0, 0, 0]
    assert gained["recall@10"].tolist() == [1, 1, 1, 1, 0, 0]
    assert gained["mrr"] == pytest.approx([1, 1 / 1.5, 1 / 5, 1 / 10, 1 / 10.5, 0])


def test_summary_by_hand():
    told = summary(np.asarray([1.0, 2.0, 20.0, np.inf]), GroupBootstrap([0, 0, 1, 1]))
    assert told["recall@1"] == 0.25
    assert told["recall@5"] == told["recall@10"] == 0.5
    assert told["mrr"] == pytest.approx((1 + 0.5 + 0.05) / 4)
    assert set(told["intervals"]) == {"recall@1", "recall@5", "recall@10", "mrr"}
    assert told["intervals"]["recall@10"] == [
        0.0,
        1.0,
    ]  # groups that are all right and all wrong: anything may be drawn


def test_draws_are_of_whole_groups():
    """Two groups, drawn twice: only four draws exist, and their means are known."""
    values = np.asarray([1.0, 1.0, 0.0])
    means = GroupBootstrap(["a", "a", "b"], draws=4000, seed=1).means(values)
    expected = {
        np.mean(np.concatenate([members[name] for name in drawn]))
        for members in [{"a": [1.0, 1.0], "b": [0.0]}]
        for drawn in itertools.product("ab", repeat=2)
    }
    assert set(np.round(means, 9)) == set(np.round(list(expected), 9)) == {1.0, 0.0, round(2 / 3, 9)}
    assert np.mean(means == 1.0) == pytest.approx(0.25, abs=0.03)


def test_interval_is_wider_when_cases_hang_together():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random(10) < 0.5, 20).astype(np.float64)
    grouped = GroupBootstrap(np.repeat(np.arange(10), 20)).interval(values)
    single = GroupBootstrap(np.arange(200)).interval(values)
    assert grouped[1] - grouped[0] > 3 * (single[1] - single[0])


def test_interval_of_independent_cases_is_that_of_a_mean():
    values = np.random.default_rng(5).random(400)
    low, high = GroupBootstrap(np.arange(400)).interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.004)


def test_one_group_and_equal_values_leave_nothing_to_draw():
    assert GroupBootstrap([7, 7, 7]).interval(np.asarray([0.0, 1.0, 1.0])) == pytest.approx((2 / 3, 2 / 3))
    assert GroupBootstrap([1, 2, 3]).interval(np.full(3, 0.4)) == pytest.approx((0.4, 0.4))


def test_the_same_seed_draws_the_same():
    groups, values = [0, 0, 1, 2, 3], np.arange(5.0)
    assert GroupBootstrap(groups).interval(values) == GroupBootstrap(groups).interval(values)
    assert (GroupBootstrap(groups, seed=1).means(values) != GroupBootstrap(groups).means(values)).any()


def test_differences_are_paired():
    """A method that is one place better everywhere is surely better, however much the cases differ."""
    theirs = np.asarray([2.0, 2.0, 40.0, 60.0, 2.0, 80.0])
    ours = np.where(theirs == 2.0, 1.0, theirs)
    bootstrap = GroupBootstrap([0, 1, 0, 1, 0, 1])
    gap = difference(ours, theirs, "mrr", bootstrap)
    assert gap["mean"] == pytest.approx(0.25)
    assert 0 < gap["low"] <= gap["mean"] <= gap["high"]
    assert difference(ours, ours, "mrr", bootstrap) == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_each_metric_is_compared_with_the_baseline_that_is_best_at_it():
    baselines = {"sharp": np.asarray([1.0, 50.0, 50.0]), "broad": np.asarray([10.0, 10.0, 10.0])}
    told = compared(np.asarray([1.0, 1.0, 50.0]), baselines, ("recall@10", "mrr"), GroupBootstrap([0, 1, 2]))
    assert {metric: gap["baseline"] for metric, gap in told.items()} == {"recall@10": "broad", "mrr": "sharp"}
    assert told["recall@10"]["mean"] == pytest.approx(2 / 3 - 1)
