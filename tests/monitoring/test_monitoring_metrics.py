"""Measurements: rolled up, dropped when old, and read at the resolution that is still kept."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ism.monitoring.metrics import points
from ism.monitoring.requests import RequestCounts, RequestLog
from ism.storage import open_sqlite


@pytest.fixture
def store(tmp_path):
    with open_sqlite(tmp_path) as opened:
        yield opened.monitoring


def test_minutes_become_five_minutes_and_hours_and_the_sums_agree(store):
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    for minute in range(61):
        now = hour + timedelta(minutes=minute)
        store.add_metrics(points({"cpu_percent": float(minute)}, now), now)
    (whole,) = store.metrics(["cpu_percent"], hour - timedelta(days=60), hour + timedelta(minutes=30), 3600)
    assert (whole.count, whole.total, whole.least, whole.most) == (60, sum(range(60)), 0.0, 59.0)
    fine = store.metrics(["cpu_percent"], hour - timedelta(hours=25), hour + timedelta(minutes=60))
    assert [point.count for point in fine] == [5] * 12


def test_old_minutes_go_and_their_hour_stays(store):
    now = datetime.now(UTC)
    old = now - timedelta(days=2)
    store.add_metrics(points({"cpu_percent": 7.0}, old), old + timedelta(hours=2))
    store.add_metrics(points({"cpu_percent": 9.0}, now), now)
    assert [
        p.mean for p in store.metrics(["cpu_percent"], now - timedelta(hours=20), now + timedelta(minutes=1), 60)
    ] == [9.0]
    assert [p.mean for p in store.metrics(["cpu_percent"], now - timedelta(days=40), now, 3600)] == [7.0]


def test_a_quantile_is_the_upper_end_of_its_bucket():
    counts = RequestCounts()
    for _ in range(95):
        counts.add(0.010, failed=False)
    for _ in range(5):
        counts.add(1.0, failed=True)
    totals = counts.totals()
    assert 0.010 <= totals.quantile(0.95) <= 0.0119
    assert 1.0 <= totals.quantile(0.99) <= 1.19
    assert totals.errors == 5
    assert RequestCounts().totals().quantile(0.95) is None


def test_a_request_that_raises_counts_as_failed():
    log = RequestLog()

    async def broken(scope, receive, send):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        asyncio.run(log.middleware(broken)({"type": "http", "path": "/api/x"}, None, None))
    assert (log.every.totals().errors, log.active) == (1, 0)
