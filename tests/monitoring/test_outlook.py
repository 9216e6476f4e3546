"""What is to come: made every six hours in a process of its own, and kept."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ism.app.web.flows import Flows
from ism.app.web.page import Asked
from ism.app.web.period import read_period
from ism.app.web.views import ahead
from ism.app.wiring import open_application
from ism.domain.monitoring import MetricPoint
from ism.monitoring.outlook import OutlookWatch, hourly, outlook_apart, without_gaps
from ism.settings import Settings
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


def test_pages_draw_each_forecast_that_earned_it_and_say_why_of_the_others(tmp_path):
    settings = Settings(data_dir=tmp_path / "data", demo_market=False, _env_file=None)
    with open_application(settings) as application:
        store, hours = application.store, np.arange(24 * 14)
        fill(store, "cpu_percent", 10 + 0.1 * hours + np.random.default_rng(4).normal(size=len(hours)))
        fill(store, "requests_per_second", np.tile(np.random.default_rng(1).uniform(size=24), 14))
        OutlookWatch(store).turn(NOW)
        asked = Asked(application, Flows(store), read_period({}, NOW))
        shown = {name: make(asked) for name, make in ahead.FORECASTS.items()}
        assert {name for name, panel in shown.items() if panel.chart} == {"forecast-cpu"}
        assert len(shown["forecast-cpu"].rows) == 24
        assert "it is not shown" in shown["forecast-requests"].empty.why
        for lacking in ("model", "memory", "disk"):
            assert "are needed" in shown[f"forecast-{lacking}"].empty.why
        said = {row["what"]: row for row in ahead.outlook(asked).rows}
        assert said["Processor, forecast"]["coverage"] is not None
        assert said["Processor, forecast"]["error"] < said["Processor, forecast"]["naive"]
        assert said["Requests, forecast"]["says"] == shown["forecast-requests"].empty.why
