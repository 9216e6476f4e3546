"""What is to come: forecasts, and times until something is full.

Both are computed in a process of their own: the libraries that forecast take seconds to load and a hundred megabytes
to keep, and a fit would hold up those who wait for an answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ism.domain.errors import IsmError
from ism.monitoring.forecast import Values, days_until, forecast

if TYPE_CHECKING:
    from ism.storage import Store

SETTING = "outlook"
FORECAST = ("requests_per_second", "model.accuracy:fusion", "cpu_percent", "memory_percent", "disk_percent")
FILLS = {"disk_percent": "Disk", "memory_percent": "Memory"}
EVERY = timedelta(hours=6)
STEPS = 24  # hours ahead
_SEASON = 24
_DAYS = 28
_LONGEST_GAP = 3  # hours that are filled in by a straight line
_FEW = 7 * 24  # hours; with fewer nothing is computed, but for the reason why
_MOST_S = 300.0
_one_at_a_time = threading.Lock()


class OutlookError(IsmError):
    """The process that looks ahead ended without an answer."""


class OutlookWatch:
    """Makes the outlook where the last one is old, and keeps it.

    Args:
        store: holds the measurements.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def turn(self, now: datetime) -> None:
        """Look ahead where six hours have passed."""
        last = self.latest().get("made_at")
        if last is not None and now - datetime.fromisoformat(last) < EVERY:
            return
        series = {metric: hourly(self._store, metric, now) for metric in dict.fromkeys((*FORECAST, *FILLS))}
        self._store.set_setting(SETTING, {"made_at": now.isoformat(), **outlook_apart(series, FORECAST, STEPS)})

    def latest(self) -> dict[str, Any]:
        """The last outlook: ``made_at`` and what `outlook` returned; empty before it."""
        found = self._store.get_setting(SETTING, {})
        return dict(found) if isinstance(found, dict) else {}


def hourly(store: Store, metric: str, now: datetime) -> Values:
    """``[n]`` hourly means of four weeks up to the last whole hour; NaN where nothing was measured."""
    found = store.monitoring.metrics([metric], now - timedelta(days=_DAYS), now, 3600)
    values = {int(point.at.timestamp()) // 3600: point.mean for point in found}
    if not values:
        return np.empty(0)
    return np.asarray([values.get(hour, np.nan) for hour in range(min(values), max(values) + 1)], np.float64)


def without_gaps(series: Values) -> Values:
    """What was measured since the last long gap; gaps of up to three steps are filled in by straight lines."""
    known = np.flatnonzero(np.isfinite(series))
    if not len(known):
        return np.empty(0)
    wide = np.flatnonzero(np.diff(known) > _LONGEST_GAP + 1)
    known = known[wide[-1] + 1 :] if len(wide) else known
    return np.interp(np.arange(known[0], known[-1] + 1), known, series[known])


def outlook(series: Mapping[str, Values], wanted: Sequence[str], steps: int) -> dict[str, Any]:
    """Forecasts of some hourly series and, for those that fill up, when.

    Args:
        series: metric -> ``[n]``, NaN where nothing was measured.
        wanted: which to forecast.
        steps: hours ahead.

    Returns:
        ``forecasts``: metric -> the fields of `Forecast`; ``fills``: ``metric``, ``sentence`` and ``days`` (None where
        no time can be told).
    """
    fills = []
    for metric, label in FILLS.items():
        if metric in series:
            sentence, days = _until(series[metric])
            fills.append({"metric": metric, "sentence": f"{label}: {sentence}.", "days": days})
    forecasts = {metric: asdict(forecast(without_gaps(series[metric]), _SEASON, steps)) for metric in wanted}
    return {"forecasts": forecasts, "fills": fills}


def _until(hours: Values) -> tuple[str, float | None]:
    days = [hours[start : start + 24] for start in range(0, len(hours), 24)]
    means = np.asarray([np.nanmean(day) if np.isfinite(day).any() else np.nan for day in days], np.float64)
    known = np.isfinite(means)
    return days_until(np.flatnonzero(known).astype(np.float64), means[known], 100.0)


def outlook_apart(series: Mapping[str, Values], wanted: Sequence[str], steps: int) -> dict[str, Any]:
    """`outlook` in a child process, one at a time.

    Raises:
        OutlookError: the child ended without an answer.
    """
    if all(len(values) < _FEW for values in series.values()):
        return outlook(series, wanted, steps)  # nothing heavy is loaded to say that there is too little
    asked = {"series": {name: values.tolist() for name, values in series.items()}, "wanted": wanted, "steps": steps}
    command = [sys.executable, "-m", "ism.monitoring.outlook"]
    with _one_at_a_time:
        try:
            done = subprocess.run(
                command, input=json.dumps(asked), capture_output=True, text=True, timeout=_MOST_S, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise OutlookError(f"No forecast could be made ({type(error).__name__}). Try again later.") from error
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    """Read what is asked from standard input, write the outlook to standard output."""
    asked = json.load(sys.stdin)
    series = {metric: np.asarray(values, np.float64) for metric, values in asked["series"].items()}
    json.dump(outlook(series, asked["wanted"], asked["steps"]), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
