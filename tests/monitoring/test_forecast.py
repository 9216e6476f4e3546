"""Forecasts are shown where they beat the seasonal-naive, and not elsewhere."""

import numpy as np
import pytest

from ism.monitoring.forecast import days_until, forecast


def test_a_trend_with_a_season_is_forecast_with_measured_coverage():
    hours, random = np.arange(24 * 14), np.random.default_rng(5)
    series = 50 + 10 * np.sin(hours * 2 * np.pi / 24) + 0.05 * hours + random.normal(size=len(hours))
    found = forecast(series, 24, 12)
    assert found.missing is None
    assert found.error < found.naive_error
    assert 0.5 <= found.coverage <= 1.0
    assert len(found.values) == 12


HOURS, DAYS = np.arange(24 * 14), 14


def test_a_trend_is_shown_since_the_day_before_lags_behind_it_and_its_intervals_hold():
    found = forecast(0.5 * HOURS + np.random.default_rng(1).normal(size=len(HOURS)), 24, 24)
    assert found.missing is None
    assert found.naive_error == pytest.approx(0.5 * 24, rel=0.05)
    assert found.error < 2.0  # the noise alone errs by 0.8
    assert 0.8 <= found.coverage <= 0.98
    assert all(low < value < high for low, value, high in zip(found.low, found.values, found.high, strict=True))


def same_day():
    return np.tile(np.random.default_rng(1).normal(size=24), DAYS)


def day_that_wanders(seed):
    """Each hour of the day is a random walk over days: nothing can beat its last value but by chance."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(DAYS, 24)), axis=0).ravel()


@pytest.mark.parametrize("series", [same_day(), day_that_wanders(2)])
def test_what_the_day_before_tells_better_is_not_shown_but_its_errors_are(series):
    found = forecast(series, 24, 24)
    assert (found.values, found.low, found.high) == (None, None, None)
    assert found.error >= found.naive_error
    assert "it is not shown" in found.missing
    assert found.coverage is not None
    assert found.origins == 12


def test_a_series_that_does_not_move_or_is_short_says_why():
    assert "needed" in forecast(np.arange(10.0), 24, 12).missing
    assert "not move" in forecast(np.ones(24 * 14), 24, 12).missing


def test_a_filling_disk_is_told_with_its_days_and_noise_is_not():
    days = np.arange(14.0)
    text, left = days_until(days, 50 + 3.0 * days, 100.0)
    assert round(left, 1) == 3.7
    assert text.startswith("full in 4 days")
    assert days_until(days, np.random.default_rng(2).normal(50, 1, 14), 100.0)[1] is None
