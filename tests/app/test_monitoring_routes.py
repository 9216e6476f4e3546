"""The dashboard's endpoints have the documented shapes, and refuse what cannot be used."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

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
    row = measured.get("/api/dashboard/ai-metrics/matching").json()[0]
    assert {"timestamp", "accuracy", "latency", "throughput", "confidence", "feedback_score"} <= set(row)
    assert row["accuracy"] is None
    assert row["missing"]["accuracy"]


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
