"""Forecasts that earn their place: Holt-Winters, shown only where it beats the seasonal-naive on a rolling origin."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
COVERAGE = 0.90  # nominal coverage of the intervals
_LEAST_SEASONS = 6
_ORIGINS = 12


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of the next steps of a series.

    Attributes:
        values: ``[h]`` forecast; None where ``missing`` says why there is none.
        low: ``[h]`` lower ends of the 90 % intervals.
        high: ``[h]`` upper ends.
        error: mean absolute error on the rolling origin, in the unit of the series.
        naive_error: that of the value one season before.
        coverage: share of later origins whose values lay in intervals made from the earlier ones, 0..1.
        origins: how many origins were tried.
    """

    values: list[float] | None
    low: list[float] | None
    high: list[float] | None
    error: float | None
    naive_error: float | None
    coverage: float | None
    origins: int
    missing: str | None


def forecast(series: Values, season: int, steps: int) -> Forecast:
    """Holt-Winters with additive season and damped trend (Holt 1957, Winters 1960; Gardner 1985).

    Args:
        series: ``[n]`` evenly spaced, without gaps.
        season: steps of a season.
        steps: how many to forecast.
    """
    needed = _LEAST_SEASONS * season + _ORIGINS + steps
    if len(series) < needed or not np.isfinite(series).all():
        return _none(f"Measurements without gaps: {len(series)}; {needed} are needed.")
    if float(np.ptp(series)) == 0.0:
        return _none("The series does not move; its last value says all.")
    origins = np.linspace(len(series) - steps - _ORIGINS * max(1, steps // 2), len(series) - steps, _ORIGINS)
    origins = np.unique(np.clip(origins.astype(int), 3 * season, len(series) - steps))
    errors, naive = [], []
    for origin in origins:
        truth = series[origin : origin + steps]
        errors.append(truth - _fitted(series[:origin], season, steps))
        naive.append(truth - np.resize(series[origin - season : origin], steps))
    found, other = np.asarray(errors), np.asarray(naive)
    ours, theirs = float(np.abs(found).mean()), float(np.abs(other).mean())
    half = len(found) // 2
    width = np.quantile(np.abs(found[:half]), COVERAGE)
    coverage = float((np.abs(found[half:]) <= width).mean())
    if ours >= theirs:
        why = f"It errs by {ours:.3g}, the value one season before by {theirs:.3g}: it is not shown."
        return Forecast(None, None, None, ours, theirs, coverage, len(found), why)
    values, reach = _fitted(series, season, steps), float(np.quantile(np.abs(found), COVERAGE))
    return Forecast(
        values.tolist(), (values - reach).tolist(), (values + reach).tolist(), ours, theirs, coverage, len(found), None
    )


def _none(why: str) -> Forecast:
    return Forecast(None, None, None, None, None, None, 0, why)


def _fitted(series: Values, season: int, steps: int) -> Values:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing  # noqa: PLC0415 - 1 s, only where one is made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that did not converge is judged by its errors
        model: Any = ExponentialSmoothing(
            series, trend="add", damped_trend=True, seasonal="add", seasonal_periods=season
        )
        return np.asarray(model.fit().forecast(steps), np.float64)


def days_until(days: Values, values: Values, limit: float) -> tuple[str, float | None]:
    """A sentence on when a rising series reaches a limit, and the days until then; None where it says no time.

    The slope is the median of all pairwise slopes (Theil 1950, Sen 1968), and must be positive at 95 % confidence.

    Args:
        days: ``[n]`` time of the measurements, in days, rising.
        values: ``[n]``.
        limit: what must not be reached.
    """
    from scipy.stats import theilslopes  # noqa: PLC0415 - 0.5 s, only where a trend is asked for

    if len(values) < 7:
        return f"no trend yet: {len(values)} days are measured, 7 are needed", None
    slope, _, low, _ = theilslopes(values, days, 0.95)
    if low <= 0:
        return "no rise that differs from chance", None
    left = max(0.0, limit - float(values[-1])) / float(slope)
    return f"full in {left:.0f} days, if it goes on as in the last {days[-1] - days[0]:.0f} days", left
