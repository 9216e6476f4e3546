"""Measurements over the time that a page looks at, with a gap where nothing was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ism.app.web import charts
from ism.app.web.period import Period
from ism.domain.monitoring import Alert
from ism.storage import Store

_GAP = 2.5  # steps without a measurement that make a gap
_MOST_ALERTS = 200


@dataclass(frozen=True, slots=True)
class Series:
    """Means by time.

    Attributes:
        at: when each step began, UTC, rising.
        values: by name, one for each step; None where it was not measured then, or in a gap.
    """

    at: Sequence[datetime]
    values: Mapping[str, Sequence[float | None]]

    def rows(self) -> list[dict[str, Any]]:
        """The newest first, without gaps."""
        found: list[dict[str, Any]] = [
            {"at": at, **{name: column[place] for name, column in self.values.items()}}
            for place, at in enumerate(self.at)
        ]
        return [row for row in reversed(found) if any(row[name] is not None for name in self.values)]


def read_series(store: Store, metrics: Mapping[str, str], period: Period, every_s: int = 60) -> Series:
    """Some metrics in a period, at the finest resolution that gives some 400 steps.

    Args:
        store: holds them.
        metrics: name in the answer -> metric.
        period: from when to when.
        every_s: seconds between two measurements of such a metric.
    """
    names = {metric: name for name, metric in metrics.items()}
    steps: dict[datetime, dict[str, float]] = {}
    lengths: dict[datetime, int] = {}
    for point in store.monitoring.metrics(list(names), period.start, period.end):
        steps.setdefault(point.at, {})[names[point.name]] = point.mean
        lengths[point.at] = max(point.resolution_s, every_s)
    at: list[datetime] = []
    for moment in steps:
        if at and moment - at[-1] > _GAP * timedelta(seconds=max(lengths[moment], lengths.get(at[-1], 0))):
            at.append(at[-1] + (moment - at[-1]) / 2)
        at.append(moment)
    return Series(at, {name: [steps.get(moment, {}).get(name) for moment in at] for name in metrics})


def opened(store: Store, rules: Sequence[str], period: Period) -> list[charts.Mark]:
    """When alerts of some rules opened in a period."""
    found: list[Alert] = []
    for resolved in (False, True):
        found += store.monitoring.alerts(resolved=resolved, limit=_MOST_ALERTS)
    inside = (alert for alert in found if alert.rule in rules and period.start <= alert.opened_at <= period.end)
    return [(alert.opened_at, "alert") for alert in sorted(inside, key=lambda alert: alert.opened_at)]
