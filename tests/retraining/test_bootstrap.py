import numpy as np
import pytest
from scipy import stats

from ism.retraining.bootstrap import clustered_error, paired_test


def test_with_one_case_a_group_the_error_is_the_textbook_one():
    values = np.random.default_rng(0).normal(size=50)
    mean, error, count = clustered_error(values, np.arange(50))
    assert (mean, error, count) == (pytest.approx(values.mean()), pytest.approx(stats.sem(values)), 50)


def test_cases_that_repeat_each_other_add_no_certainty():
    values = np.random.default_rng(1).normal(size=20)
    once = clustered_error(values, np.arange(20))
    assert clustered_error(np.repeat(values, 30), np.repeat(np.arange(20), 30)) == pytest.approx(once)


def test_bounds_are_the_more_careful_of_both_methods():
    values = np.random.default_rng(2).normal(0.3, 1, 12)
    found = paired_test(values, np.arange(12), 0.001)
    t_low = values.mean() - stats.t.isf(0.001, 11) * stats.sem(values)
    assert found.low <= t_low + 1e-12
    assert found.low < found.mean < found.high
    assert found.p_better == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


@pytest.mark.parametrize("companies", [10, 40])
def test_false_alarms_stay_at_the_level_where_cases_of_a_company_agree(companies):
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(companies), 6)
    alarms = 0
    for seed in range(400):
        gaps = rng.normal(0, 1, companies)[groups] + rng.normal(0, 0.5, len(groups))
        alarms += paired_test(gaps, groups, 0.05, seed, draws=400).low > 0
    # a plain t-test over the cases would be far above this
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)


def test_a_difference_of_nothing_is_no_difference():
    found = paired_test(np.zeros(20), np.arange(20), 0.05)
    assert (found.low, found.high, found.p_worse) == (0.0, 0.0, 0.5)
