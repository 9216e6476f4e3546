"""Measurements of the running system and alerts about it: plain values."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

Severity = Literal["info", "warning", "critical"]
AlertState = Literal["open", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """What was measured under one name in one interval.

    Attributes:
        name: of the metric, its unit at the end: ``cpu_percent``; of a model ``model.accuracy:gnn``.
        at: start of the interval, UTC.
        resolution_s: length of the interval, seconds: 60, 300 or 3600.
        count: observations in it, at least 1.
        total: their sum.
        least: the smallest.
        most: the largest.
    """

    name: str
    at: datetime
    resolution_s: int
    count: int
    total: float
    least: float
    most: float

    @property
    def mean(self) -> float:
        """Mean of the observations."""
        return self.total / self.count


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When a metric is worth telling somebody.

    Attributes:
        metric: name of the metric; with ``:*`` at its end, that of every model.
        unit: of the limits.
        above: whether too much is bad (else too little).
        enter: past this limit the condition holds.
        leave: only back past this limit it has ended (hysteresis).
        for_minutes: how long it must hold, and how long it must have ended.
        remedy: what to do about it.
        link: path of the view that shows its cause.
        inhibited_by: rule that, while open, makes this one silent: its cause explains this one.
    """

    name: str
    metric: str
    unit: str
    above: bool
    enter: float
    leave: float
    for_minutes: int
    severity: Severity
    says: str
    remedy: str
    link: str
    inhibited_by: str | None = None
    enabled: bool = True

    def as_dict(self) -> dict[str, Any]:
        """All of it by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that held, from when it was opened until it was resolved.

    Attributes:
        cause: rule, and after a colon the model where there is one; at most one alert of a cause is not resolved.
        value: the latest measurement, in the unit of the rule.
        told: last state that was delivered; None while nothing was.
    """

    alert_id: str
    rule: str
    cause: str
    severity: Severity
    state: AlertState
    message: str
    remedy: str
    link: str
    value: float
    threshold: float
    opened_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    silenced_until: datetime | None = None
    inhibited_by: str | None = None
    told: str | None = field(default=None)

    def as_dict(self) -> dict[str, Any]:
        """What callers are told; times ISO 8601 UTC."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }
