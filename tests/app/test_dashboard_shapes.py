"""The dashboard's eight answers, field by field as they are documented, and the same as CSV."""

import csv
import io
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from judging import Desk
from test_optimizations import WANTED, fill

from ism.domain.monitoring import Alert
from ism.domain.retraining import RetrainingJob
from ism.monitoring.dashboard import AI_FIELDS
from ism.monitoring.metrics import points

NOW = datetime.now(UTC)


def number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value):
    return type(value) is int and value >= 0


def share(value):
    return number(value) and 0 <= value <= 1


def percent(value):
    return number(value) and 0 <= value <= 100


def text(value):
    return isinstance(value, str) and value != ""


def moment(value):
    return datetime.fromisoformat(value).utcoffset() == timedelta(0)


def table(value):
    return isinstance(value, dict)


def flag(value):
    return isinstance(value, bool)


def one_of(*words):
    return lambda value: value in words


def or_none(check):
    return lambda value: value is None or check(value)


ALERT = {
    "alert_id": text, "rule": text, "cause": text, "severity": one_of("info", "warning", "critical"),
    "state": one_of("open", "acknowledged", "resolved"), "message": text, "remedy": text, "link": text,
    "value": number, "threshold": number, "opened_at": moment, "updated_at": moment,
    "acknowledged_at": or_none(moment), "acknowledged_by": or_none(text), "resolved_at": or_none(moment),
    "silenced_until": or_none(moment), "inhibited_by": or_none(text), "told": or_none(text),
}  # fmt: skip
SEARCH = {
    "status": one_of("running", "completed", "failed", "cancelled"), "progress": share, "best_score": or_none(number),
    "best_params": or_none(table), "n_trials": count, "duration": number, "start_time": or_none(moment),
    "completed_at": or_none(moment),
}  # fmt: skip
SHAPES = {
    "overview": {
        "system_health": {
            "status": one_of("healthy", "warning", "critical"), "overall_score": percent, "cpu_usage": percent,
            "memory_usage": percent, "active_connections": number, "error_rate": percent,
        },
        "ai_performance": {
            "status": text, "average_accuracy": share, "average_latency": number, "total_models": count,
        },
        "feedback_analytics": {
            "average_rating": number, "total_feedback": count, "positive_ratio": share, "negative_ratio": share,
            "trend": number,
        },
        "retraining_status": {
            "status": one_of("active", "idle"), "active_jobs": count, "total_jobs": count, "completed_jobs": count,
            "failed_jobs": count,
        },
        "active_alerts": [ALERT],
        "last_updated": moment,
    },
    "system-metrics": [
        {
            "timestamp": moment, "cpu_usage": percent, "memory_usage": percent, "active_connections": number,
            "requests_per_second": number, "error_rate": percent,
        }
    ],
    "ai-metrics/matching": [
        {
            "timestamp": moment, "accuracy": share, "latency": number, "throughput": number, "confidence": share,
            "feedback_score": number,
        }
    ],
    "feedback-analytics": {
        "metrics": [
            {
                "timestamp": moment, "total_feedback": count, "positive_feedback": count, "negative_feedback": count,
                "average_rating": number, "feedback_trend": or_none(number),  # there is none on the first day
            }
        ],
        "summary": {"total_feedback": count, "average_rating": number, "trend": number},
    },
    "retraining-jobs": [
        {
            "job_id": text, "model_name": text, "trigger_type": one_of("schedule", "feedback", "performance", "manual"),
            "config": {"retraining_type": one_of("full", "adaptive", "feedback_driven", "optimization"),
                       "n_trials": count, "timeout": number},
            "status": one_of("pending", "running", "completed", "failed", "cancelled"), "state": text,
            "created_at": moment, "started_at": or_none(moment), "completed_at": or_none(moment),
            "error_message": or_none(text),
        }
    ],
    "alerts": {"active_alerts": [ALERT], "alert_history": [ALERT], "total_alerts": count},
    "optimization-status": {"active_optimizations": [SEARCH], "optimization_history": [SEARCH]},
    "fusion-status": {
        "fusion_models": [
            {
                "model_id": text, "model_type": one_of("weighted_sum", "ml_model", "ensemble"), "weights": table,
                "parameters": table, "performance_metrics": table, "version": count, "last_updated": moment,
                "is_active": flag,
            }
        ],
        "fusion_stats": {
            "total_fusions": count, "successful_fusions": count, "average_confidence": share, "last_updated": moment,
        },
        "active_model": text,
    },
}  # fmt: skip


def wrong(value, shape, path=""):
    """Places where an answer is not as its shape; a list must have an entry."""
    if isinstance(shape, list):
        if not isinstance(value, list) or not value:
            return [f"{path}: {value!r}"]
        return [each for place, part in enumerate(value) for each in wrong(part, shape[0], f"{path}[{place}]")]
    if isinstance(shape, dict):
        missing = [f"{path}.{name} is missing" for name in shape if name not in value]
        there = [name for name in shape if name in value]
        return missing + [each for name in there for each in wrong(value[name], shape[name], f"{path}.{name}")]
    return [] if shape(value) else [f"{path}: {value!r}"]


@pytest.fixture
def busy(application, client):
    """A client of a system in which everything has happened once; a search runs and another was cancelled."""
    store = application.store
    fill(store)
    desk = Desk(store, application.feedback.loop.rules)
    for days, rating in ((6, 2), (1, 5)):
        desk.now = NOW - timedelta(days=days)
        desk.show(f"q{days}")
        desk.send(desk.rating(rating, f"q{days}/1", "somebody"))
        desk.now = NOW
        desk.judge.judge()
    desk.show("now")
    config = {"retraining_type": "full", "n_trials": 3, "timeout": 60.0}
    store.retraining.add_job(RetrainingJob("j1", "matching", "manual", config, "REQUESTED", NOW))
    for name, more in {"a1": {"state": "resolved", "resolved_at": NOW}, "a2": {}}.items():
        alert = Alert(name, "cpu", "cpu", "warning", "open", "busy", "look", "/", 9.0, 8.0, NOW, NOW)
        store.monitoring.open_alert(alert)
        store.monitoring.change_alert(name, {"told": "open", **more})
    first = client.post("/api/optimizations", json=WANTED).json()["optimization_id"]
    client.delete(f"/api/optimizations/{first}")
    application.tuning.optimizer.wait(first, 60)
    client.post("/api/optimizations", json=WANTED)
    application.monitoring.requests.matches.add(0.1, failed=False)
    application.monitoring.collector.collect(NOW)
    values = {f"model.{name}:matching": 0.5 for name in AI_FIELDS}
    store.monitoring.add_metrics(points(values, NOW), NOW)
    yield client
    for each in application.tuning.optimizer.list_optimizations():
        application.tuning.optimizer.cancel(each["optimization_id"])


def rows_of(path, found):
    """What of an answer is a table."""
    named = {"feedback-analytics": ["metrics"], "alerts": ["active_alerts", "alert_history"],
             "optimization-status": ["active_optimizations", "optimization_history"],
             "fusion-status": ["fusion_models"]}.get(path)  # fmt: skip
    if path == "overview":
        return [flat(found)]
    return [row for name in named for row in found[name]] if named else found


def flat(value):
    inner = {f"{a}.{b}": part for a, each in value.items() if isinstance(each, dict) for b, part in each.items()}
    return {name: each for name, each in value.items() if not isinstance(each, dict)} | inner


def same(cell, value):
    if value is None or number(value):
        return cell == "" if value is None else float(cell) == pytest.approx(value)
    return json.loads(cell) == value if isinstance(value, dict | list) else cell == str(value)


def test_each_answer_has_every_documented_field_with_its_type_and_as_csv(busy):
    for path, shape in SHAPES.items():
        found = busy.get(f"/api/dashboard/{path}").json()
        assert wrong(found, shape) == [], path
        told = busy.get(f"/api/dashboard/{path}", params={"format": "csv"})
        cells, rows = list(csv.DictReader(io.StringIO(told.text), strict=True)), rows_of(path, found)
        again = rows_of(path, busy.get(f"/api/dashboard/{path}").json())
        assert len(cells) == len(rows), path
        for line, row, later in zip(cells, rows, again, strict=True):
            still = {name for name in row if row[name] == later[name]}  # a search that runs goes on meanwhile
            assert [name for name in still if not same(line[name], row[name])] == [], path
            assert set(row) <= set(line) == {name for each in rows for name in each}, path
            assert len(still) > len(row) / 2, path


def test_a_wrong_shape_is_noticed():
    assert wrong({"a": [{"b": 1.5}]}, {"a": [{"b": count}], "c": text}) == [".c is missing", ".a[0].b: 1.5"]
    assert wrong([], [ALERT]) == [": []"]
