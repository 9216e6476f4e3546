"""What the dashboard shows, as plain values; each answer comes from a few indexed reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ism.domain.errors import NotFoundError
from ism.domain.monitoring import MetricPoint
from ism.domain.retraining import ENDED
from ism.monitoring.drift import DriftWatch
from ism.monitoring.metrics import SYSTEM
from ism.monitoring.outlook import OutlookWatch, hourly, outlook_apart
from ism.monitoring.quality import ESTIMATE, FUSION, LEAST_REQUESTS

if TYPE_CHECKING:
    from ism.storage import Store

Json = dict[str, Any]
HEALTH = "health_score"  # the metric
AI_FIELDS = {
    "accuracy": "accuracy",
    "latency": "latency",
    "throughput": "throughput",
    "confidence": "confidence",
    "feedback_score": "feedback_score",
}
MORE_AI_FIELDS = ("n", "low", "high", "calibration", "coverage", "relative_quality", *ESTIMATE)
_SYSTEM_FIELDS = {
    "cpu_usage": "cpu_percent",
    "memory_usage": "memory_percent",
    "active_connections": "active_connections",
    "requests_per_second": "requests_per_second",
    "error_rate": "error_percent",
    "latency_p95": "latency_p95_s",
    "disk_usage": "disk_percent",
}
_WHY = {
    "accuracy": f"Fewer than {LEAST_REQUESTS} requests of the window have good and bad matured labels.",
    "latency": "No match was asked for in the hour before, or since the start.",
    "throughput": "Models are measured once an hour; no measurement lies in this time.",
    "confidence": "Confidence is one of the fused answer, and nothing was shown in this time.",
    "feedback_score": "No rating that counts names this model.",
    "n": "Models are measured once an hour; no measurement lies in this time.",
    "calibration": "No matured label of the window has a score of this model.",
    "coverage": "No label of the window has matured.",
    "relative_quality": "No version of this model was promoted while its accuracy was known, or it is not known now.",
    "estimate": "Too few fresh lists, or too few with good and bad matured labels.",
    "estimate_error": "Too few lists with good and bad matured labels to compare halves of them.",
}
_WHY |= {"low": _WHY["accuracy"], "high": _WHY["accuracy"]}
_WHY |= {"estimate_low": _WHY["estimate"], "estimate_high": _WHY["estimate"]}
_NOT_MEASURED = "Nothing was measured in the last two hours; after a start it begins within a minute."
_NO_REQUEST = "No request was answered in this time."
_WHY_SYSTEM = {"error_rate": _NO_REQUEST, "latency_p95": _NO_REQUEST}
_GAP = "It was not measured at this time."
_RATED = ("average_rating", "positive_ratio", "negative_ratio")
_PENALTIES = {"critical": 30.0, "warning": 15.0, "info": 0.0}


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, UTC."""

    since: datetime
    until: datetime


class Dashboard:
    """Answers of the dashboard.

    Args:
        store: holds everything.
        models: names of the engines.
    """

    def __init__(self, store: Store, models: Sequence[str]) -> None:
        self._store, self._models = store, list(models)

    def models(self) -> list[str]:
        """Every model that is measured."""
        return [*self._models, FUSION]

    def latest(self) -> dict[str, float]:
        """The newest measurement of every metric in the last two hours."""
        now = datetime.now(UTC)
        fields = (*AI_FIELDS, *MORE_AI_FIELDS)
        names = [*SYSTEM, *(f"model.{field}:{model}" for field in fields for model in self.models())]
        found = self._store.monitoring.metrics(names, now - timedelta(hours=2), now + timedelta(seconds=1))
        return {point.name: point.mean for point in found}

    def overview(self) -> Json:
        """Health, models, feedback, retraining and open alerts at this moment; ``missing`` says why one is None."""
        now, latest = datetime.now(UTC), self.latest()
        alerts = [alert.as_dict() for alert in self._store.monitoring.alerts(resolved=False)]
        score = self.health(latest)
        feedback = self.feedback(Span(now - timedelta(days=7), now))["summary"]
        accuracy = [latest[name] for name in (f"model.accuracy:{model}" for model in self.models()) if name in latest]
        average = sum(accuracy) / len(accuracy) if accuracy else None
        missing = {name: "Nobody rated a match in the last 7 days." for name in _RATED if feedback[name] is None}
        missing |= {name: _NOT_MEASURED for name in list(_SYSTEM_FIELDS)[:3] if _SYSTEM_FIELDS[name] not in latest}
        if score is None:
            missing |= {"system_health": _NOT_MEASURED, "overall_score": _NOT_MEASURED}
        if feedback["trend"] is None:
            missing["trend"] = feedback["missing"]
        if "error_percent" not in latest:
            missing["error_rate"] = missing.get("cpu_usage", "No request was answered in the last two hours.")
        if average is None:
            missing["average_accuracy"] = _WHY["accuracy"]
        if latest.get("match_latency_p95_s") is None:
            missing["average_latency"] = "No match was asked for in the last two hours."
        return {
            "system_health": {
                "status": health_status(score),
                "overall_score": score,
                **{name: latest.get(_SYSTEM_FIELDS[name]) for name in list(_SYSTEM_FIELDS)[:3]},
                "error_rate": latest.get("error_percent"),
            },
            "ai_performance": {
                "status": "unknown" if average is None else "measured",
                "average_accuracy": average,
                "average_latency": latest.get("match_latency_p95_s"),
                "total_models": len(self.models()),
            },
            "feedback_analytics": {
                name: feedback[name]
                for name in ("average_rating", "total_feedback", "positive_ratio", "negative_ratio", "trend")
            },
            "retraining_status": self._retraining(),
            "active_alerts": alerts,
            "last_updated": now.isoformat(),
            "missing": missing,
        }

    def health(self, latest: Mapping[str, float] | None = None) -> float | None:
        """Health now, 0..100; None where no alert is open and nothing was measured in the last two hours.

        Args:
            latest: what `latest` gave, where that is at hand.
        """
        open_ = self._store.monitoring.alerts(resolved=False, limit=1000)
        measured = "cpu_percent" in (self.latest() if latest is None else latest)
        return health_score([alert.as_dict() for alert in open_]) if open_ or measured else None

    def _retraining(self) -> Json:
        states = self._store.monitoring.job_states()
        active = sum(count for state, count in states.items() if state not in ENDED)
        failed = states.get("FAILED", 0) + states.get("ROLLED_BACK", 0)
        total = sum(states.values())
        return {
            "status": "active" if active else "idle",
            "active_jobs": active,
            "total_jobs": total,
            "completed_jobs": total - active - failed,
            "failed_jobs": failed,
        }

    def system_metrics(self, span: Span) -> list[Json]:
        """Measurements of machine and requests by time: %, %, number, 1/s, %, s, %; ``missing`` as in `ai_metrics`."""
        rows, why = self._table(_SYSTEM_FIELDS, span), {**dict.fromkeys(_SYSTEM_FIELDS, _GAP), **_WHY_SYSTEM}
        return [{**row, "missing": _missing(row, why)} for row in rows]

    def ai_metrics(self, model: str, span: Span) -> list[Json]:
        """Measurements of a model by time; each row's ``missing`` says why a value is None.

        Raises:
            NotFoundError: there is no such model.
        """
        if model not in self.models():
            raise NotFoundError("model", model)
        names = {name: f"model.{name}:{model}" for name in (*AI_FIELDS, *MORE_AI_FIELDS)}
        rows = self._table(names, span, f"model.throughput:{model}")
        return [{**row, "missing": _missing(row, _WHY)} for row in rows]

    def _table(self, fields: Mapping[str, str], span: Span, every: str | None = None) -> list[Json]:
        found = self._store.monitoring.metrics(list(fields.values()), span.since, span.until)
        times: dict[datetime, dict[str, MetricPoint]] = {}
        for point in found:
            times.setdefault(point.at, {})[point.name] = point
        return [
            {
                "timestamp": at.isoformat(),
                **{field: here[name].mean if name in here else None for field, name in fields.items()},
            }
            for at, here in times.items()
            if every is None or every in here
        ]

    def feedback(self, span: Span) -> Json:
        """Ratings by day, and their sum; the trend is the change of the mean from the first to the second half."""
        days = self._store.monitoring.feedback_days(span.since, span.until)
        rows, before = [], None
        for day, number, positive, negative, total in days:
            mean = total / number
            rows.append(
                {
                    "timestamp": f"{day}T00:00:00+00:00",
                    "total_feedback": number,
                    "positive_feedback": positive,
                    "negative_feedback": negative,
                    "average_rating": mean,
                    "feedback_trend": None if before is None else mean - before,
                    "missing": {"feedback_trend": "No day with ratings lies before it."} if before is None else {},
                }
            )
            before = mean
        return {"metrics": rows, "summary": _summary(days, span)}

    def alerts(self) -> Json:
        """Open alerts, the last hundred resolved ones, and how many there ever were."""
        return {
            "active_alerts": [alert.as_dict() for alert in self._store.monitoring.alerts(resolved=False)],
            "alert_history": [alert.as_dict() for alert in self._store.monitoring.alerts(resolved=True)],
            "total_alerts": self._store.monitoring.count_alerts(),
        }

    def retraining_jobs(self, limit: int = 100) -> list[Json]:
        """Jobs, newest first."""
        return [job.as_dict() for job in self._store.retraining.jobs(limit=limit)]

    def drift(self) -> Json:
        """The last comparison of distributions; ``missing`` says why there is none."""
        found = DriftWatch(self._store).latest()
        return found or {"features": [], "missing": "No window was compared yet; the first is after a minute."}

    def forecast(self, metric: str, steps: int = 24) -> Json:
        """The next hours of a metric; ``missing`` says why there is none.

        Raises:
            NotFoundError: nothing is measured under that name.
        """
        if metric not in {*SYSTEM, *self._store.monitoring.metric_names("model.")}:
            raise NotFoundError("metric", metric)
        series = {metric: hourly(self._store, metric, datetime.now(UTC))}
        return {"metric": metric, "step_s": 3600, **outlook_apart(series, [metric], steps)["forecasts"][metric]}

    def outlook(self) -> list[str]:
        """Sentences on what fills up, disk and memory, as they were found last; empty before that."""
        return [each["sentence"] for each in OutlookWatch(self._store).latest().get("fills", ())]


def _missing(row: Json, why: Mapping[str, str]) -> dict[str, str]:
    return {name: reason for name, reason in why.items() if row[name] is None}


def _summary(days: Sequence[tuple[str, int, int, int, float]], span: Span) -> Json:
    number, total = sum(day[1] for day in days), sum(day[4] for day in days)
    middle = (span.since + (span.until - span.since) / 2).date().isoformat()
    halves = [[day for day in days if (day[0] >= middle) == later] for later in (False, True)]
    means = [sum(d[4] for d in half) / sum(d[1] for d in half) for half in halves if half]
    return {
        "total_feedback": number,
        "average_rating": total / number if number else None,
        "positive_ratio": sum(day[2] for day in days) / number if number else None,
        "negative_ratio": sum(day[3] for day in days) / number if number else None,
        "trend": means[1] - means[0] if len(means) == 2 else None,
        "missing": None
        if len(means) == 2
        else "A trend needs ratings in both halves of the time."
        if number
        else "Nobody rated a match in this time.",
    }


def health_score(alerts: Sequence[Mapping[str, Any]]) -> float:
    """100, less 30 for each open critical alert and 15 for each warning; 0 at least."""
    return max(0.0, 100.0 - sum(_PENALTIES[str(alert["severity"])] for alert in alerts))


def health_status(score: float | None) -> str:
    """``healthy`` from 80, ``warning`` from 60, else ``critical``; ``unknown`` without a score."""
    if score is None:
        return "unknown"
    return "healthy" if score >= 80 else "warning" if score >= 60 else "critical"
