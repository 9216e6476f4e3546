"""Whether features and scores are distributed as they were: fixed windows, effect size, false-discovery rate.

A window of `WINDOW_DAYS` days is compared once, when it has ended, with the `REFERENCE_DAYS` days before it, by the
two-sample Kolmogorov-Smirnov test, one value per request since those of one request depend on each other. The p-values
of a window are judged together (Benjamini and Hochberg 1995) at a level at which a month without drift raises a false
alarm with probability `_DESIGN_RATE`: with no drift at all that procedure bounds the chance of any alarm. That lies
below the stated `MONTHLY_RATE`, so that a run of 500 months stays within it too, but for one run in a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ism.storage import Store

SETTING = "drift"

WINDOW_DAYS = 7
REFERENCE_DAYS = 28
MONTHLY_RATE = 0.05
_DESIGN_RATE = 0.03
LEVEL = _DESIGN_RATE / math.ceil(30 / WINDOW_DAYS)  # a month touches the ends of at most five windows
LEAST_EFFECT = 0.10  # Kolmogorov-Smirnov distance below which a difference is no matter for people
LEAST_REQUESTS = 50

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drift:
    """Of one feature or score.

    Attributes:
        distance: largest distance of the two distribution functions, 0..1; None where ``missing`` says why.
        p_value: chance of so large a distance without drift.
        drifted: whether it is significant among all that were tested, and large enough to matter.
        n: requests in the window.
        n_reference: requests before it.
    """

    name: str
    n: int
    n_reference: int
    distance: float | None
    p_value: float | None
    drifted: bool
    missing: str | None


def find_drift(reference: Mapping[str, Values], window: Mapping[str, Values], level: float = LEVEL) -> list[Drift]:
    """Compare every feature that both have; see the module.

    Args:
        reference: name -> ``[n]`` values, one per request; NaN where it is unknown.
        window: the same, later.
        level: false-discovery rate of the window.
    """
    tested = [_compare(name, reference[name], window[name]) for name in sorted(set(reference) & set(window))]
    p_values = np.sort([each.p_value for each in tested if each.p_value is not None])
    passes = np.flatnonzero(p_values <= level * np.arange(1, len(p_values) + 1) / max(1, len(p_values)))
    limit = float(p_values[passes[-1]]) if len(passes) else -1.0
    return [_judged(each, limit) for each in tested]


def _compare(name: str, before: Values, after: Values) -> Drift:
    from scipy.stats import ks_2samp  # noqa: PLC0415 - 0.5 s, only where drift is looked for

    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(len(before), len(after)) < LEAST_REQUESTS:
        why = f"{len(after)} requests in the window and {len(before)} before it; {LEAST_REQUESTS} are needed in each."
        return Drift(name, len(after), len(before), None, None, False, why)
    found = ks_2samp(before, after, method="asymp")
    return Drift(name, len(after), len(before), float(found.statistic), float(found.pvalue), False, None)


def _judged(found: Drift, limit: float) -> Drift:
    if found.p_value is None or found.distance is None:
        return found
    drifted = found.p_value <= limit and found.distance >= LEAST_EFFECT
    return Drift(found.name, found.n, found.n_reference, found.distance, found.p_value, drifted, None)


def window_end(now: datetime) -> datetime:
    """End of the last whole window: windows lie fixed on the calendar, so that no one is looked at twice."""
    step = WINDOW_DAYS * 86_400
    return datetime.fromtimestamp(int(now.timestamp()) // step * step, UTC)


class DriftWatch:
    """Compares each window once, and keeps what was found.

    Args:
        store: holds what was shown.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def turn(self, now: datetime) -> None:
        """Compare the last whole window where that is still to be done."""
        end = window_end(now)
        if self.latest().get("until") == end.isoformat():
            return
        start = end - timedelta(days=WINDOW_DAYS)
        before = _by_request(self._store.monitoring.shown(start - timedelta(days=REFERENCE_DAYS), start))
        found = find_drift(before, _by_request(self._store.monitoring.shown(start, end)))
        told = {"since": start.isoformat(), "until": end.isoformat(), "level": LEVEL, "monthly_rate": MONTHLY_RATE}
        self._store.set_setting(SETTING, {**told, "features": [asdict(each) for each in found]})

    def latest(self) -> dict[str, Any]:
        """The last comparison: ``since``, ``until``, ``level``, ``monthly_rate`` and ``features``; empty before it."""
        found = self._store.get_setting(SETTING, {})
        return dict(found) if isinstance(found, dict) else {}


def _by_request(rows: Sequence[tuple[str, float, float, Mapping[str, float]]]) -> dict[str, Values]:
    """Mean of each score over the recommendations of a request, and how many there were."""
    requests: dict[str, dict[str, list[float]]] = {}
    for request, score, confidence, engines in rows:
        kept = requests.setdefault(request, {})
        named = {"final_score": score, "confidence": confidence, **{f"engine:{k}": v for k, v in engines.items()}}
        for name, value in named.items():
            kept.setdefault(name, []).append(value)
    names = {name for kept in requests.values() for name in kept}
    found = {
        name: np.asarray([np.mean(kept[name]) if name in kept else math.nan for kept in requests.values()], np.float64)
        for name in names
    }
    sizes = [len(kept["final_score"]) for kept in requests.values()]
    return {**found, "recommendations_per_request": np.asarray(sizes, np.float64)}
