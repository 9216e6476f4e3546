"""Load: machine and requests over time, each panel where the alert of its name leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ism.app.web import charts
from ism.app.web.page import Asked, MakePanel
from ism.app.web.panel import Column, Empty, Kind, Panel
from ism.app.web.series import opened, read_series

_OFF = Empty(
    "This server does not measure itself.", "Start it without ISM_MONITORING_ENABLED=false to have measurements."
)
_NOTHING = Empty("Nothing was measured in this time.", "The first measurement comes after a minute; or choose another "
                 "time.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meter:
    """What one panel shows.

    Attributes:
        metrics: label -> metric.
        kind: of the values; a ``share`` is stored in per cent.
        rule: the alert rule whose limit is drawn, and whose alerts are marked.
        bounds: of the axis.
        width: of twelve columns.
    """

    title: str
    metrics: Mapping[str, str]
    note: str
    kind: Kind = "number"
    unit: str = ""
    rule: str = ""
    bounds: tuple[float | None, float | None] = (0, None)
    width: int = 6


METERS: Mapping[str, Meter] = {
    "cpu": Meter("Processor", {"Processor": "cpu_percent"}, "Of all cores together, in use.", "share", rule="cpu",
                 bounds=(0, 1)),
    "memory": Meter("Memory", {"Memory": "memory_percent"}, "Of the machine's memory, in use by all its programs.",
                    "share", rule="memory", bounds=(0, 1)),
    "disk": Meter("Disk", {"Disk": "disk_percent"}, "Of the disk that holds the data folder, in use.", "share",
                  rule="disk", bounds=(0, 1)),
    "requests": Meter("Requests", {"Requests": "requests_per_second", "Matches": "matches_per_second"},
                      "Answered a second; matches are those that asked for receivers.", unit="1/s"),
    "connections": Meter("Connections", {"Being answered": "active_connections"},
                         "Requests that were being answered at the moment of the measurement.", unit="requests"),
    "errors": Meter("Errors", {"Failed": "error_percent"}, "Share of requests that were answered with 500 or more, or "
                    "not at all. A gap means that nothing was asked.", "share", rule="error_rate"),
    "latency": Meter("Latency", {"Mean": "latency_mean_s", "Slowest in 20": "latency_p95_s",
                                 "Slowest match in 20": "match_latency_p95_s"},
                     "Time to answer a request. One in twenty takes longer than the second and third (95th percentile, "
                     "at most 19 % too high).", unit="s", rule="latency", width=12),
}  # fmt: skip


def over_time(meter: Meter, asked: Asked) -> Panel:
    """The measurements of one meter."""
    store = asked.application.store
    keys = {label: metric.replace("_percent", "") for label, metric in meter.metrics.items()}
    found = read_series(store, {keys[label]: metric for label, metric in meter.metrics.items()}, asked.period)
    scale = 0.01 if meter.kind == "share" else 1.0
    scaled = {key: [None if each is None else each * scale for each in column] for key, column in found.values.items()}
    rows = [
        {name: value * scale if isinstance(value, float) else value for name, value in row.items()}
        for row in found.rows()
    ]
    return Panel(
        meter.title,
        (Column("at", "From", "time", "UTC"),
         *(Column(key, label, meter.kind, meter.unit) for label, key in keys.items())),
        rows,
        _NOTHING if asked.application.settings.monitoring_enabled else _OFF,
        chart=_chart(meter, asked, found.at, {label: scaled[key] for label, key in keys.items()}),
        note=meter.note,
        topics=("metrics",),
        width=meter.width,
    )  # fmt: skip


def _chart(meter: Meter, asked: Asked, at: Sequence[datetime], series: Mapping[str, charts.Values]) -> charts.Chart:
    is_share = meter.kind == "share"
    unit = "%" if is_share else meter.unit
    marks = opened(asked.application.store, (meter.rule,), asked.period) if meter.rule else ()
    chart = charts.lines(at, series, unit, meter.bounds, marks)
    rule = next((each for each in asked.application.monitoring.rules.every() if each.name == meter.rule), None)
    if rule is None or not rule.enabled:
        return chart
    return charts.limited(chart, rule.enter / 100 if is_share else rule.enter, "alert above")


PANELS: dict[str, MakePanel] = {name: partial(over_time, meter) for name, meter in METERS.items()}
