"""The dashboard's JSON and CSV, alerts and their rules, and Prometheus' page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ism.app.http.access import MAY_MANAGE, MAY_WRITE, App, api_router, get_caller
from ism.domain.errors import InvalidInputError
from ism.monitoring import alerts
from ism.monitoring.dashboard import Span

router = api_router("Monitoring")
_AT = "/api/dashboard"
_MOST_DAYS = 400

Json = dict[str, Any]
Form = Annotated[Literal["json", "csv"], Query(description="csv gives a table, one row for each entry.")]
Hours = Annotated[int, Query(ge=1, le=24 * _MOST_DAYS, description="How far back, in hours.")]
Days = Annotated[int, Query(ge=1, le=_MOST_DAYS, description="How far back, in days.")]
From = Annotated[AwareDatetime | None, Query(alias="from", description="Start, ISO 8601 with its zone.")]
To = Annotated[AwareDatetime | None, Query(description="End, ISO 8601 with its zone; now by default.")]
Name = Annotated[str, Path(min_length=1, max_length=200)]


class SilenceIn(BaseModel):
    """How long nothing is delivered."""

    model_config = ConfigDict(extra="forbid", strict=True)
    minutes: Annotated[int, Field(ge=1, le=43_200)] = 60


class RuleIn(BaseModel):
    """What to change of a rule."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
    enter: float | None = None
    leave: float | None = None
    for_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    enabled: bool | None = None


@router.get(f"{_AT}/overview", summary="The system at this moment")
def overview(application: App, format: Form = "json") -> Any:
    """Health, models, feedback, retraining, open alerts."""
    found = application.monitoring.dashboard.overview()
    return found if format == "json" else _csv([_flat(found)], "overview")


@router.get(f"{_AT}/system-metrics", summary="Machine and requests over time")
def system_metrics(
    application: App, hours: Hours = 24, since: From = None, to: To = None, format: Form = "json"
) -> Any:
    """Percent, percent, number, 1/s, percent, s."""
    return _rows(
        application.monitoring.dashboard.system_metrics(_span(timedelta(hours=hours), since, to)),
        format,
        "system-metrics",
    )


@router.get(f"{_AT}/ai-metrics/{{model}}", summary="A model over time")
def ai_metrics(
    model: Name,
    application: App,
    hours: Hours = 24,
    since: From = None,
    to: To = None,
    format: Form = "json",
) -> Any:
    """Accuracy is nDCG@10 on the latest matured window of 28 days, with `n`, `low` and `high` (95 %)."""
    found = application.monitoring.dashboard.ai_metrics(model, _span(timedelta(hours=hours), since, to))
    return _rows(found, format, "ai-metrics")


@router.get(f"{_AT}/feedback-analytics", summary="Ratings over time")
def feedback_analytics(
    application: App, days: Days = 7, since: From = None, to: To = None, format: Form = "json"
) -> Any:
    """Ratings that count, by day."""
    found = application.monitoring.dashboard.feedback(_span(timedelta(days=days), since, to))
    return found if format == "json" else _csv(found["metrics"], "feedback-analytics")


@router.get(f"{_AT}/retraining-jobs", summary="Retraining jobs")
def retraining_jobs(
    application: App,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    format: Form = "json",
) -> Any:
    """Newest first."""
    return _rows(application.monitoring.dashboard.retraining_jobs(limit), format, "retraining-jobs")


@router.get(f"{_AT}/alerts", summary="Alerts for the dashboard")
def dashboard_alerts(application: App, format: Form = "json") -> Any:
    """Open ones, the last hundred resolved ones, and their number."""
    found = application.monitoring.dashboard.alerts()
    return found if format == "json" else _csv(found["active_alerts"] + found["alert_history"], "alerts")


@router.get(f"{_AT}/optimization-status", summary="Searches for better parameters")
def optimization_status(application: App, format: Form = "json") -> Any:
    """Running and ended ones."""
    found: Json = {"active_optimizations": [], "optimization_history": []}
    if application.settings.optimization_enabled:
        found = dict(application.tuning.optimizer.optimization_status())
    rows = [*found["active_optimizations"], *found["optimization_history"]]
    return found if format == "json" else _csv(rows, "optimization-status")


@router.get(f"{_AT}/fusion-status", summary="Fusion models and what they answered")
def fusion_status(application: App, format: Form = "json") -> Any:
    """Models, the active one, and how many answers of the last 24 hours all engines joined in, or failed."""
    found = application.monitoring.fusion_status(application.fusion)
    return found if format == "json" else _csv(found["fusion_models"], "fusion-status")


@router.get(f"{_AT}/drift", summary="Whether features and scores are distributed as they were")
def drift(application: App) -> Json:
    """The last window that was compared."""
    return application.monitoring.dashboard.drift()


@router.get(f"{_AT}/forecast/{{metric}}", summary="The next hours of a metric")
def forecast(metric: Name, application: App, steps: Annotated[int, Query(ge=1, le=168)] = 24) -> Json:
    """Only where it beats the value one day before; `missing` says why there is none."""
    return application.monitoring.dashboard.forecast(metric, steps)


@router.get(f"{_AT}/outlook", summary="What fills up, and when")
def outlook(application: App) -> dict[str, list[str]]:
    """Sentences."""
    return {"sentences": application.monitoring.dashboard.outlook()}


@router.get("/api/alerts", summary="List alerts")
def list_alerts(application: App) -> Json:
    """As on the dashboard."""
    return application.monitoring.dashboard.alerts()


@router.post("/api/alerts/{alert_id}/acknowledge", dependencies=MAY_WRITE, summary="Acknowledge an alert")
def acknowledge(alert_id: Name, application: App, request: Request) -> Json:
    """The alert; 409 when it is resolved."""
    return alerts.acknowledge(application.store, alert_id, get_caller(request).name).as_dict()


@router.post("/api/alerts/{alert_id}/silence", dependencies=MAY_WRITE, summary="Silence an alert")
def silence(alert_id: Name, wanted: SilenceIn, application: App, request: Request) -> Json:
    """The alert; nothing about its cause is delivered meanwhile."""
    return alerts.silence(application.store, alert_id, wanted.minutes, get_caller(request).name).as_dict()


@router.post("/api/alerts/{alert_id}/resolve", dependencies=MAY_WRITE, summary="Resolve an alert")
def resolve(alert_id: Name, application: App, request: Request) -> Json:
    """The alert; it opens again where its condition holds for its duration anew."""
    return alerts.resolve(application.store, alert_id, get_caller(request).name).as_dict()


@router.get("/api/alert-rules", summary="List alert rules")
def list_rules(application: App) -> dict[str, list[Json]]:
    """The rules as they are set."""
    return {"rules": [rule.as_dict() for rule in application.monitoring.rules.every()]}


@router.patch("/api/alert-rules/{name}", dependencies=MAY_MANAGE, summary="Change an alert rule")
def change_rule(name: Name, wanted: RuleIn, application: App, request: Request) -> Json:
    """The rule."""
    values = wanted.model_dump(exclude_none=True)
    return application.monitoring.rules.change(name, values, get_caller(request).name).as_dict()


@router.get("/metrics", summary="Measurements for Prometheus", response_class=Response)
def prometheus(application: App) -> Response:
    """Text format 0.0.4; needs a key, as everything does that tells about the system."""
    return Response(application.monitoring.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _span(back: timedelta, since: datetime | None, to: datetime | None) -> Span:
    until = to.astimezone(UTC) if to else datetime.now(UTC) + timedelta(seconds=1)
    start = since.astimezone(UTC) if since else until - back
    if start >= until:
        raise InvalidInputError("from", start.isoformat(), "It must lie before 'to'.")
    return Span(start, until)


def _rows(rows: Sequence[Json], form: str, name: str) -> Any:
    return list(rows) if form == "json" else _csv(rows, name)


def _csv(rows: Sequence[Mapping[str, Any]], name: str) -> Response:
    out = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> Any:
    """A value as a spreadsheet may open it: texts that would be formulas are quoted."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _flat(value: Mapping[str, Any], before: str = "") -> Json:
    found: Json = {}
    for key, each in value.items():
        found |= _flat(each, f"{before}{key}.") if isinstance(each, Mapping) else {f"{before}{key}": each}
    return found
