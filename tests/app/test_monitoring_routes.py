"""The dashboard's endpoints have the documented shapes, and refuse what cannot be used."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from judging import Desk

from ism.app.web.flows import Flows
from ism.app.web.page import Asked
from ism.app.web.period import read_period
from ism.app.web.views import overview
from ism.monitoring.metrics import points

EIGHT = (
    "overview",
    "system-metrics",
    "ai-metrics/matching",
    "feedback-analytics",
    "retraining-jobs",
    "alerts",
    "optimization-status",
    "fusion-status",
)


@pytest.fixture
def measured(application, client):
    application.monitoring.collector.collect()
    return client


@pytest.mark.parametrize("path", EIGHT)
def test_each_answers_json_and_csv(measured, path):
    assert measured.get(f"/api/dashboard/{path}").status_code == 200
    table = measured.get(f"/api/dashboard/{path}?format=csv")
    assert table.status_code == 200
    assert table.headers["content-type"].startswith("text/csv")
    list(csv.reader(io.StringIO(table.text), strict=True))


def test_overview_has_the_documented_shape(measured):
    found = measured.get("/api/dashboard/overview").json()
    assert set(found["system_health"]) == {
        "status",
        "overall_score",
        "cpu_usage",
        "memory_usage",
        "active_connections",
        "error_rate",
    }
    assert set(found["ai_performance"]) == {"status", "average_accuracy", "average_latency", "total_models"}
    assert set(found["feedback_analytics"]) == {
        "average_rating",
        "total_feedback",
        "positive_ratio",
        "negative_ratio",
        "trend",
    }
    assert set(found["retraining_status"]) == {"status", "active_jobs", "total_jobs", "completed_jobs", "failed_jobs"}
    assert found["active_alerts"] == []
    assert datetime.fromisoformat(found["last_updated"]).utcoffset() == timedelta(0)
    assert found["system_health"]["memory_usage"] > 0


def test_a_number_that_is_missing_says_why(measured):
    found = measured.get("/api/dashboard/overview").json()
    assert found["ai_performance"]["average_accuracy"] is None
    assert "matured labels" in found["missing"]["average_accuracy"]
    assert found["system_health"]["error_rate"] is None
    assert "in the last two hours" in found["missing"]["error_rate"]
    assert found["system_health"]["overall_score"] == 100.0
    row = measured.get("/api/dashboard/ai-metrics/matching").json()[0]
    assert {"timestamp", "accuracy", "latency", "throughput", "confidence", "feedback_score"} <= set(row)
    assert row["accuracy"] is None
    assert row["missing"]["accuracy"]


def lacking(value, path=()):
    """Paths of the numbers that are None without a word, in an answer whose ``missing`` stand beside or above them."""
    if isinstance(value, list):
        return [each for row in value for each in lacking(row, path)]
    if not isinstance(value, dict):
        return []
    said = value.get("missing") or {}
    told = said if isinstance(said, dict) else dict.fromkeys(value, said)
    inner = [each for name, part in value.items() if name != "missing" for each in lacking(part, (*path, name))]
    own = [(*path, name) for name, part in value.items() if part is None and name != "missing"]
    return [each for each in [*own, *inner] if each[-1] not in told]


MEASURED = ("overview", "system-metrics", "ai-metrics/matching", "ai-metrics/fusion", "feedback-analytics",
            "fusion-status")  # fmt: skip


@pytest.mark.parametrize("path", MEASURED)
def test_every_number_that_is_missing_says_why_before_and_after_a_measurement(application, client, path):
    assert lacking(client.get(f"/api/dashboard/{path}").json()) == []
    application.monitoring.collector.collect()
    rated(application, 5)
    found = client.get(f"/api/dashboard/{path}").json()
    assert lacking(found) == []
    assert lacking({"a": None, "b": {"c": None}, "missing": {"c": "why"}}) == [("a",)]


def rated(application, rating):
    desk = Desk(application.store, application.feedback.loop.rules)
    desk.now = datetime.now(UTC)
    desk.show("q")
    desk.send(desk.rating(rating, "q/1", "somebody"))
    desk.judge.judge()


def test_health_is_not_known_before_anything_is_measured(application):
    application.warm_up()
    asked = Asked(application, Flows(application.store), read_period({}, datetime.now(UTC)))
    before = overview.health(asked)
    assert (before.value, before.detail.partition(";")[0]) == ("", "nothing measured in two hours: no open alert")
    application.monitoring.collector.collect()
    after = overview.health(asked)
    assert (after.value, after.detail.partition(";")[0]) == ("Healthy", "100 of 100: no open alert")


def test_fusions_are_counted_with_those_that_failed_and_those_that_lacked_an_engine(application, client):
    engines = list(application.fusion.get_active_model().weights)
    desk = Desk(application.store)
    desk.now = datetime.now(UTC)
    for request, scored in {"whole": engines, "broken": engines[1:], "again": engines[:1]}.items():
        desk.show(request, scores=dict.fromkeys(scored, 0.5))

    def told():
        return client.get("/api/dashboard/fusion-status").json()["fusion_stats"]

    before = told()
    assert (before["total_fusions"], before["successful_fusions"], before["failed_fusions"]) == (3, 1, None)
    assert "Failed requests were not counted" in before["missing"]
    for seconds, failed in ((0.1, False), (0.2, True), (0.1, True)):
        application.monitoring.requests.matches.add(seconds, failed)
    application.monitoring.collector.collect()
    after = told()
    assert (after["total_fusions"], after["successful_fusions"]) == (5, 1)
    assert (after["incomplete_fusions"], after["failed_fusions"], after["missing"]) == (2, 2, None)


def test_system_metrics_have_the_documented_names(measured):
    row = measured.get("/api/dashboard/system-metrics").json()[0]
    assert {
        "timestamp",
        "cpu_usage",
        "memory_usage",
        "active_connections",
        "requests_per_second",
        "error_rate",
    } <= set(row)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("system-metrics?hours=abc", "hours"),
        ("ai-metrics/matching?hours=0", "hours"),
        ("feedback-analytics?days=-1", "days"),
        ("system-metrics?from=yesterday", "from"),
        ("system-metrics?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
    ],
)
def test_a_bad_parameter_is_named(client, path, named):
    answer = client.get(f"/api/dashboard/{path}")
    assert answer.status_code == 422
    assert named in answer.json()["errors"][0]["field"]


def test_an_unknown_model_is_not_found(client):
    assert client.get("/api/dashboard/ai-metrics/nobody").status_code == 404
    assert client.get("/api/dashboard/forecast/nothing").status_code == 404


def test_from_and_to_bound_the_time(application, client):
    now = datetime.now(UTC)
    for minutes in (30, 90):
        at = now - timedelta(minutes=minutes)
        application.store.monitoring.add_metrics(points({"cpu_percent": float(minutes)}, at), now)
    until = (now - timedelta(hours=1)).isoformat()
    rows = client.get(
        "/api/dashboard/system-metrics", params={"from": (now - timedelta(hours=2)).isoformat(), "to": until}
    )
    assert [row["cpu_usage"] for row in rows.json()] == [90.0]


def test_prometheus_counts_requests_and_needs_a_key(application, client):
    client.get("/api/engines")
    text = client.get("/metrics").text
    assert "ism_requests_total 1\n" in text
    assert 'ism_request_duration_seconds_bucket{le="+Inf"} 1' in text
    del client.headers["X-API-Key"]
    assert client.get("/metrics").status_code == 401


def test_a_rule_is_changed_and_a_wrong_limit_refused(client):
    changed = client.patch("/api/alert-rules/cpu", json={"enter": 95.0, "leave": 90.0})
    assert (changed.json()["enter"], changed.json()["leave"]) == (95.0, 90.0)
    assert client.patch("/api/alert-rules/cpu", json={"leave": 99.0}).status_code == 422
    assert client.patch("/api/alert-rules/none", json={"leave": 9.0}).status_code == 404
    rules = {rule["name"]: rule for rule in client.get("/api/alert-rules").json()["rules"]}
    assert rules["cpu"]["enter"] == 95.0
    assert rules["memory"]["enter"] == 85.0
