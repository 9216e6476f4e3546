"""Forecasts are shown where they beat the seasonal-naive, and not elsewhere."""

import numpy as np

from ism.monitoring.forecast import days_until, forecast


def test_a_trend_with_a_season_is_forecast_with_measured_coverage():
    hours, random = np.arange(24 * 14), np.random.default_rng(5)
    series = 50 + 10 * np.sin(hours * 2 * np.pi / 24) + 0.05 * hours + random.normal(size=len(hours))
    found = forecast(series, 24, 12)
    assert found.missing is None
    assert found.error < found.naive_error
    assert 0.5 <= found.coverage <= 1.0
    assert len(found.values) == 12


def test_a_random_walk_with_nothing_to_gain_or_a_short_series_says_why():
    assert "needed" in forecast(np.arange(10.0), 24, 12).missing
    assert "not move" in forecast(np.ones(24 * 14), 24, 12).missing


def test_a_filling_disk_is_told_with_its_days_and_noise_is_not():
    days = np.arange(14.0)
    text, left = days_until(days, 50 + 3.0 * days, 100.0)
    assert round(left, 1) == 3.7
    assert text.startswith("full in 4 days")
    assert days_until(days, np.random.default_rng(2).normal(50, 1, 14), 100.0)[1] is None
