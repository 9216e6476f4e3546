"""Measurements over a period: a gap where nothing was measured, the newest first in the table."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ism.app.web.period import Period
from ism.app.web.series import read_series
from ism.monitoring.metrics import points
from ism.storage import open_sqlite

END = datetime.now(UTC).replace(second=0, microsecond=0)
PERIOD = Period(END - timedelta(hours=1), END, "1h")


def test_a_gap_parts_what_was_measured_before_and_after(tmp_path: Path) -> None:
    with open_sqlite(tmp_path) as store:
        for ago, value in ((50, 1.0), (49, 2.0), (10, 3.0)):
            at = END - timedelta(minutes=ago)
            store.monitoring.add_metrics(points({"cpu_percent": value, "other": 9.0}, at), END)
        found = read_series(store, {"busy": "cpu_percent"}, PERIOD)
        assert found.values["busy"] == [1.0, 2.0, None, 3.0]
        assert [row["busy"] for row in found.rows()] == [3.0, 2.0, 1.0]
        hourly = read_series(store, {"busy": "cpu_percent"}, PERIOD, every_s=3600)
        assert hourly.values["busy"] == [1.0, 2.0, 3.0]


def test_a_metric_that_is_missing_in_a_step_is_none_there(tmp_path: Path) -> None:
    with open_sqlite(tmp_path) as store:
        at = END - timedelta(minutes=5)
        store.monitoring.add_metrics(points({"cpu_percent": 1.0}, at), END)
        found = read_series(store, {"busy": "cpu_percent", "late": "latency_p95_s"}, PERIOD)
        assert found.rows() == [{"at": at, "busy": 1.0, "late": None}]
