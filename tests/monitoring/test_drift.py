"""Drift: without any, false alarms stay within the stated rate; a planted shift is found in its window."""

import numpy as np
import pytest

from ism.monitoring.drift import MONTHLY_RATE, find_drift

FEATURES, PER_DAY = 6, 20


def window(random, days, shift=0.0):
    common = random.normal(size=(days * PER_DAY, 1))
    values = 0.5 * common + random.normal(size=(days * PER_DAY, FEATURES))
    values[:, 0] += shift
    return {f"feature{number}": values[:, number] for number in range(FEATURES)}


def joined(windows):
    return {name: np.concatenate([each[name] for each in windows]) for name in windows[0]}


def alarm_in_month(random):
    """Five windows of seven days, each against the four before it."""
    weeks = [window(random, 7) for _ in range(9)]
    return any(each.drifted for end in range(4, 9) for each in find_drift(joined(weeks[end - 4 : end]), weeks[end]))


def most_alarms(months):
    """More happen by chance in one of a thousand such runs at the stated rate."""
    from scipy.stats import binom

    return binom.ppf(0.999, months, MONTHLY_RATE)


def test_no_drift_raises_few_alarms():
    random = np.random.default_rng(11)
    assert sum(alarm_in_month(random) for _ in range(40)) <= most_alarms(40)


@pytest.mark.slow
def test_no_drift_raises_at_most_the_stated_rate_over_500_months():
    random = np.random.default_rng(12)
    assert sum(alarm_in_month(random) for _ in range(500)) / 500 <= MONTHLY_RATE


def test_a_planted_shift_is_found_in_its_window_and_named():
    random = np.random.default_rng(13)
    hits = 0
    for _ in range(20):
        found = find_drift(joined([window(random, 7) for _ in range(4)]), window(random, 7, shift=1.0))
        hits += [each.name for each in found if each.drifted] == ["feature0"]
    assert hits >= 19


def test_too_few_requests_say_so():
    random = np.random.default_rng(14)
    (found,) = find_drift({"score": random.normal(size=500)}, {"score": random.normal(size=5)})
    assert found.p_value is None
    assert "50 are needed" in found.missing
