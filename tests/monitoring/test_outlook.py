"""What is to come: made every six hours in a process of its own, and kept."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ism.domain.monitoring import MetricPoint
from ism.monitoring.outlook import OutlookWatch, hourly, outlook_apart, without_gaps
from ism.storage import open_sqlite

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def store(tmp_path):
    with open_sqlite(tmp_path) as opened:
        yield opened


def fill(store, metric, values):
    """Hourly means up to now, the oldest first."""
    at = [NOW - timedelta(hours=len(values) - place) for place in range(len(values))]
    store.monitoring.add_metrics(
        [MetricPoint(metric, when, 3600, 1, value, value, value) for when, value in zip(at, values, strict=True)], NOW
    )


def test_a_disk_that_fills_and_a_day_that_repeats_are_told(store):
    hours, random = np.arange(24 * 20), np.random.default_rng(3)
    fill(store, "disk_percent", 50 + 1.5 * hours / 24)
    fill(store, "requests_per_second", 5 + 3 * np.sin(hours * np.pi / 12) + 0.3 * random.normal(size=len(hours)))
    OutlookWatch(store).turn(NOW)
    found = OutlookWatch(store).latest()
    disk, memory = found["fills"]
    assert disk["days"] == pytest.approx((100 - 79.2) / 1.5, abs=1)
    assert disk["sentence"].startswith("Disk: full in 1")
    assert memory["days"] is None
    requests = found["forecasts"]["requests_per_second"]
    assert len(requests["values"]) == 24
    assert requests["error"] < requests["naive_error"]
    assert "are needed" in found["forecasts"]["cpu_percent"]["missing"]


def test_it_is_made_every_six_hours(store):
    watch = OutlookWatch(store)
    for hours in (0, 5, 7):
        watch.turn(NOW + timedelta(hours=hours))
    assert watch.latest()["made_at"] == (NOW + timedelta(hours=7)).isoformat()


def test_short_gaps_are_filled_in_and_long_ones_cut():
    nan = np.nan
    np.testing.assert_array_equal(without_gaps(np.asarray([1.0, nan, 3.0, nan, nan, nan, 7.0])), np.arange(1.0, 8.0))
    np.testing.assert_array_equal(without_gaps(np.asarray([1.0, nan, nan, nan, nan, 6.0, 7.0])), [6.0, 7.0])
    assert len(without_gaps(np.asarray([nan, nan]))) == 0


def test_hours_without_a_measurement_are_gaps(store):
    fill(store, "cpu_percent", [1.0, 2.0])
    fill(store, "disk_percent", [1.0])
    store.monitoring.add_metrics([MetricPoint("cpu_percent", NOW - timedelta(hours=5), 3600, 1, 9.0, 9.0, 9.0)], NOW)
    np.testing.assert_array_equal(hourly(store, "cpu_percent", NOW), [9.0, np.nan, np.nan, 1.0, 2.0])


def test_too_little_says_so():
    found = outlook_apart({"cpu_percent": np.ones(5)}, ["cpu_percent"], 24)
    assert "are needed" in found["forecasts"]["cpu_percent"]["missing"]
    assert found["fills"] == []
