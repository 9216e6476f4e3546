"""What is to come: forecasts that earned their place, and when something is full."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ism.app.phrases import amount
from ism.app.web import charts
from ism.app.web.page import Asked, MakePanel
from ism.app.web.panel import LINKS, Column, Empty, Kind, Panel
from ism.app.web.period import Period
from ism.app.web.series import read_series
from ism.monitoring.outlook import FORECAST, OutlookWatch

_LABELS = {
    "requests_per_second": ("Requests", "1/s"),
    "cpu_percent": ("Processor", "%"),
    "memory_percent": ("Memory", "%"),
    "disk_percent": ("Disk", "%"),
    "model.accuracy:fusion": ("Quality of the lists", "nDCG@10"),
}
_SOON_DAYS, _URGENT_DAYS = 30.0, 7.0
_BEFORE = timedelta(days=7)
_NOT_YET = Empty("Nothing was looked ahead at yet.", "It is done every six hours, first a minute after the start, "
                 "unless ISM_MONITORING_ENABLED=false.")  # fmt: skip


def outlook(asked: Asked) -> Panel:
    """What fills up and when, and what each forecast says of tomorrow."""
    found = OutlookWatch(asked.application.store).latest()
    rows: list[dict[str, Any]] = [
        {"what": each["sentence"].partition(":")[0], "says": each["sentence"].partition(": ")[2].capitalize()}
        for each in found.get("fills", ())
    ]
    rows += [_said(metric, found["forecasts"][metric]) for metric in FORECAST if metric in found.get("forecasts", {})]
    made = f" Made {found['made_at'][:16].replace('T', ' ')} UTC." if found else ""
    return Panel(
        "What is to come",
        (Column("what", "What"), Column("says", "What it says"), Column("coverage", "Coverage", "share"),
         Column("error", "Error", "number"), Column("naive", "Error of the day before", "number")),
        rows,
        _NOT_YET,
        note="Trends are told only where they differ from chance (Theil and Sen, 95 %). A forecast (Holt and Winters) "
        "is shown only where it errs less than the value one day before; coverage is how often its 90 % intervals held."
        + made,
        topics=("metrics",),
        width=12,
        cards=True,
    )  # fmt: skip


def _said(metric: str, found: dict[str, Any]) -> dict[str, Any]:
    label, unit = _LABELS[metric]
    says = found["missing"]
    if found["values"]:
        low, high = (amount(found[name][-1]) for name in ("low", "high"))
        says = f"In a day {amount(found['values'][-1])} {unit}, {low} to {high}."
    return {"what": f"{label}, forecast", "says": says, "coverage": found["coverage"], "error": found["error"],
            "naive": found["naive_error"]}  # fmt: skip


def forecast(metric: str, asked: Asked) -> Panel:
    """The last week and the next day of a measurement; where its forecast is not worth showing, why."""
    made = OutlookWatch(asked.application.store).latest()
    found = made.get("forecasts", {}).get(metric)
    if found and found["values"]:
        return _drawn(asked, metric, found, datetime.fromisoformat(made["made_at"]))
    remedy = "It is shown once it errs less than the value one day before."
    empty = Empty(found["missing"], remedy) if found else _NOT_YET
    columns = (Column("at", "At", "time", "UTC"),)
    return Panel(_title(metric), columns, (), empty, topics=("metrics",), width=_width(metric))


FORECASTS: dict[str, MakePanel] = {
    f"forecast-{metric.partition('_')[0].partition('.')[0]}": partial(forecast, metric) for metric in FORECAST
}


def _title(metric: str) -> str:
    return f"Forecast: {_LABELS[metric][0]}"


def _width(metric: str) -> int:
    return 12 if metric == FORECAST[0] else 6


def _drawn(asked: Asked, metric: str, found: dict[str, Any], made_at: datetime) -> Panel:
    unit = _LABELS[metric][1]
    kind: Kind = "share" if unit == "%" else "number"
    scale, said = (0.01, "") if unit == "%" else (1.0, unit)
    start = made_at.replace(minute=0, second=0, microsecond=0)
    past = read_series(asked.application.store, {"value": metric}, Period(start - _BEFORE, start, ""), 3600)
    before = [None if each is None else scale * each for each in past.values["value"]]
    told = {name: [max(0.0, scale * each) for each in found[name]] for name in ("values", "low", "high")}
    ahead = [start + timedelta(hours=step) for step in range(len(told["values"]))]
    after = {name: [*[None] * len(before), *values] for name, values in told.items()}
    series = {"Measured": [*before, *[None] * len(ahead)], "Forecast": after["values"]}
    bands = {"Forecast": (after["low"], after["high"])}
    return Panel(
        _title(metric),
        (Column("at", "At", "time", "UTC"), Column("values", "Forecast", kind, said),
         Column("low", "At least", kind, said), Column("high", "At most", kind, said)),
        [{"at": at, **{name: told[name][step] for name in told}} for step, at in enumerate(ahead)],
        _NOT_YET,
        chart=charts.lines([*past.at, *ahead], series, unit, (0, None), bands=bands),
        note="The band is the 90 % interval; the last week is drawn before it.",
        topics=("metrics",),
        width=_width(metric),
    )  # fmt: skip


def attention(asked: Asked) -> list[dict[str, Any]]:
    """What is full within a month: severity, what, what to do, and where to see it."""
    found = OutlookWatch(asked.application.store).latest()
    return [
        {
            "severity": "warning" if each["days"] <= _URGENT_DAYS else "notice",
            "what": each["sentence"], "do": "Free some of it, or enlarge it before then.",
            LINKS: {"what": asked.address("/system", range="30d") + f"#panel-{each['metric'].partition('_')[0]}"},
        }
        for each in found.get("fills", ())
        if each["days"] is not None and each["days"] <= _SOON_DAYS
    ]  # fmt: skip
