"""How well models do on the latest matured window: accuracy with n and interval, calibration, coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ism.domain.monitoring import MetricPoint
from ism.engines.metrics import ndcg
from ism.feedback.evidence import MaturedLabels, matured_labels
from ism.monitoring.metrics import points
from ism.retraining.calibration_error import calibration_error

if TYPE_CHECKING:
    from ism.feedback.ladder import Floats
    from ism.feedback.limits import FeedbackRules
    from ism.storage import Store

WINDOW = timedelta(days=28)
FUSION = "fusion"
LEAST_REQUESTS = 20  # with fewer no accuracy is told: its interval would span most of 0..1
_Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one model in one window.

    Attributes:
        n: requests with at least one good and one bad matured label.
        accuracy: mean nDCG@10 over them, 0..1; None where ``missing`` says why.
        low: lower end of its 95 % interval (normal, over requests).
        high: upper end.
        calibration: expected calibration error, 0..1.
        coverage: share of the labelled recommendations that the model scored, 0..1.
    """

    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    calibration: float | None
    coverage: float | None
    missing: str | None


def model_quality(labels: MaturedLabels, model: str) -> Quality:
    """Quality of an engine, or of `FUSION`, on some labels."""
    absent = np.full(len(labels), math.nan)
    scores = labels.final_score if model == FUSION else labels.engine_scores.get(model, absent)
    known = np.isfinite(scores)
    coverage = float(known.mean()) if len(labels) else None
    error = calibration_error(np.clip(scores[known], 0.0, 1.0), labels.label[known]) if known.any() else None
    values = _per_request(labels.take(known), scores[known])
    if len(values) < LEAST_REQUESTS:
        why = f"{len(values)} requests have good and bad matured labels; {LEAST_REQUESTS} are needed."
        return Quality(len(values), None, None, None, error, coverage, why)
    mean, half = float(values.mean()), _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Quality(len(values), mean, max(0.0, mean - half), min(1.0, mean + half), error, coverage, None)


def _per_request(labels: MaturedLabels, scores: Floats) -> Floats:
    order = np.argsort(labels.request_id.astype(str), kind="stable")
    names = labels.request_id[order].astype(str)
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.empty(0, np.intp)
    found = []
    for rows in np.split(order, starts[1:]):
        good = np.flatnonzero(labels.label[rows] >= 0.5)
        if 0 < len(good) < len(rows):
            found.append(ndcg(scores[rows], good))
    return np.asarray(found, np.float64)


class QualityMeter:
    """Measures every model once an hour.

    Args:
        store: holds labels, promotions and measurements.
        rules: of feedback.
        models: names of the engines; `FUSION` is measured too.
    """

    def __init__(self, store: Store, rules: FeedbackRules, models: list[str]) -> None:
        self._store, self._rules, self._models = store, rules, models
        self._last: datetime | None = None

    def turn(self, now: datetime) -> None:
        """Measure where an hour has passed."""
        if self._last is None or now - self._last >= timedelta(hours=1):
            self._last = now
            self._store.monitoring.add_metrics(self.measure(now), now)

    def measure(self, now: datetime) -> list[MetricPoint]:
        """Measurements of all models; what cannot be measured is left out."""
        labels = matured_labels(self._store, self._rules, as_of=now)
        since = np.datetime64((now - WINDOW).replace(tzinfo=None), "us")
        labels = labels.take(labels.matured_at >= since)
        shown = self._store.monitoring.shown(now - timedelta(hours=1), now)
        ratings = self._store.monitoring.model_ratings(now - WINDOW, now)
        values: dict[str, float | None] = {}
        for model in [*self._models, FUSION]:
            quality = model_quality(labels, model)
            for name in ("accuracy", "low", "high", "calibration", "coverage"):
                values[f"model.{name}:{model}"] = getattr(quality, name)
            values[f"model.n:{model}"] = quality.n
            scored = [row for row in shown if model == FUSION or model in row[3]]
            values[f"model.throughput:{model}"] = len(scored) / 3600.0
            if model == FUSION and scored:
                values[f"model.confidence:{model}"] = sum(row[2] for row in scored) / len(scored)
            if model in ratings:
                number, total = ratings[model]
                values[f"model.feedback_score:{model}"] = total / number
            values[f"model.relative_quality:{model}"] = self._relative(model, quality.accuracy)
        return points({name: float(value) for name, value in values.items() if value is not None}, now)

    def _relative(self, model: str, accuracy: float | None) -> float | None:
        """Accuracy as a share of what was measured when its champion was promoted; None where either is unknown."""
        promoted = [entry.at for entry in self._store.retraining.ledger(model) if entry.action == "promote"]
        if accuracy is None or not promoted:
            return None
        at = max(promoted)
        found = self._store.monitoring.metrics(
            [f"model.accuracy:{model}"], at - timedelta(days=2), at + timedelta(days=2)
        )
        if not found:
            return None
        then = min(found, key=lambda point: abs(point.at - at)).mean
        return accuracy / then if then > 0 else None
