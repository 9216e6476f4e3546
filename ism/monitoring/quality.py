"""How well models do on the latest matured window: accuracy with n and interval, calibration, coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ism.domain.monitoring import MetricPoint
from ism.engines.metrics import ndcg
from ism.feedback.evidence import MaturedLabels, matured_labels
from ism.monitoring.live_quality import Estimate, Shown, estimate, labelled_shares, lists_of
from ism.monitoring.metrics import points
from ism.monitoring.requests import RequestTotals
from ism.retraining.calibration_error import calibration_error

if TYPE_CHECKING:
    from ism.feedback.ladder import Floats
    from ism.feedback.limits import FeedbackRules
    from ism.storage import Store

WINDOW = timedelta(days=28)
FRESH = timedelta(days=7)
FUSION = "fusion"
ESTIMATE = ("estimate", "estimate_low", "estimate_high", "estimate_error")  # metrics of `live_estimate`
LEAST_REQUESTS = 20  # with fewer no accuracy is told: its interval would span most of 0..1
_LISTS = 1000  # the latest of each kind that an estimate reads
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
    values = np.asarray(list(accuracy_by_request(labels.take(known), scores[known]).values()), np.float64)
    if len(values) < LEAST_REQUESTS:
        why = f"{len(values)} requests have good and bad matured labels; {LEAST_REQUESTS} are needed."
        return Quality(len(values), None, None, None, error, coverage, why)
    mean, half = float(values.mean()), _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Quality(len(values), mean, max(0.0, mean - half), min(1.0, mean + half), error, coverage, None)


def accuracy_by_request(labels: MaturedLabels, scores: Floats) -> dict[str, float]:
    """Request -> nDCG@10 of its labelled receivers by some scores; only where they are good and bad."""
    order = np.argsort(labels.request_id.astype(str), kind="stable")
    names = labels.request_id[order].astype(str)
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.empty(0, np.intp)
    found = {}
    for rows in np.split(order, starts[1:]):
        good = np.flatnonzero(labels.label[rows] >= 0.5)
        if 0 < len(good) < len(rows):
            found[str(labels.request_id[rows[0]])] = ndcg(scores[rows], good)
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What estimates read: the same lists for every model.

    Attributes:
        judged: the latest requests with matured labels, in the order in which these matured.
        reference: what was shown of them.
        fresh: what was shown in the last week.
    """

    judged: list[str]
    reference: list[Shown]
    fresh: list[Shown]


def seen_lists(store: Store, labels: MaturedLabels, now: datetime) -> Seen:
    """The latest lists of each kind, up to ``now``."""
    latest: dict[str, np.datetime64] = {}
    for request, at in zip(labels.request_id, labels.matured_at, strict=True):
        latest[str(request)] = max(at, latest.get(str(request), at))
    judged = sorted(latest, key=lambda request: (latest[request], request))[-_LISTS:]
    fresh = store.monitoring.requests(now - FRESH, now, _LISTS)
    return Seen(judged, store.monitoring.shown_of(judged), store.monitoring.shown_of(fresh))


def live_estimate(seen: Seen, labels: MaturedLabels, model: str) -> Estimate:
    """Accuracy of what was shown in the last week, before its labels mature; see `ism.monitoring.live_quality`.

    Args:
        seen: from `seen_lists`.
        labels: of the latest matured window.
        model: an engine, or `FUSION`.
    """
    engine = None if model == FUSION else model
    kept, reference = lists_of(seen.reference, engine)
    place = {request: row for row, request in enumerate(kept)}
    order = np.asarray([place[request] for request in seen.judged if request in place], np.intp)
    scores = labels.final_score if engine is None else labels.engine_scores.get(model, np.full(len(labels), math.nan))
    known = np.isfinite(scores) & np.isin(labels.request_id.astype(str), seen.judged)
    values = accuracy_by_request(labels.take(known), scores[known])
    accuracies = np.asarray([values.get(kept[row], math.nan) for row in order], np.float64)
    _, fresh = lists_of(seen.fresh, engine)
    reference = reference.take(order)
    return estimate(reference, accuracies, fresh, labelled_shares(reference, labels.rank[known]))


class QualityMeter:
    """Measures every model once an hour.

    Args:
        store: holds labels, promotions and measurements.
        rules: of feedback.
        models: names of the engines; `FUSION` is measured too.
        times: model -> totals of how long it took, since the process started.
    """

    def __init__(
        self,
        store: Store,
        rules: FeedbackRules,
        models: list[str],
        times: Callable[[], Mapping[str, RequestTotals]] = dict,
    ) -> None:
        self._store, self._rules, self._models, self._times = store, rules, models, times
        self._before: Mapping[str, RequestTotals] = {}
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
        hour, seen = now - timedelta(hours=1), seen_lists(self._store, labels, now)
        # All requests of the hour are counted; who scored them is seen on the latest, which are all where they are few.
        requests, _, confidence = self._store.monitoring.shown_total(hour, now)
        shown = self._store.monitoring.shown_of(self._store.monitoring.requests(hour, now, _LISTS))
        ratings = self._store.monitoring.model_ratings(now - WINDOW, now)
        values: dict[str, float | None] = {f"model.confidence:{FUSION}": confidence}
        latency = self._latency()
        for model in [*self._models, FUSION]:
            quality = model_quality(labels, model)
            for name in ("accuracy", "low", "high", "calibration", "coverage"):
                values[f"model.{name}:{model}"] = getattr(quality, name)
            values[f"model.n:{model}"] = quality.n
            ahead = live_estimate(seen, labels, model)
            for name, value in zip(ESTIMATE, (ahead.value, ahead.low, ahead.high, ahead.error), strict=True):
                values[f"model.{name}:{model}"] = value
            values[f"model.throughput:{model}"] = requests * _share(shown, model) / 3600.0
            if model in ratings:
                number, total = ratings[model]
                values[f"model.feedback_score:{model}"] = total / number
            values[f"model.latency:{model}"] = latency.get(model)
            values[f"model.relative_quality:{model}"] = self._relative(model, quality.accuracy)
        return points({name: float(value) for name, value in values.items() if value is not None}, now)

    def _latency(self) -> dict[str, float | None]:
        """Model -> time that 95 % of its answers since the last measurement stayed within, s; None without any."""
        before, self._before = self._before, self._times()
        return {
            name: (totals.since(before[name]) if name in before else totals).quantile(0.95)
            for name, totals in self._before.items()
        }

    def _relative(self, model: str, accuracy: float | None) -> float | None:
        """Accuracy as a share of what was measured when its champion was promoted; None where either is unknown.

        The champion is the one that answers now: after a rollback that is not the one promoted last.
        """
        champion = self._store.retraining.deployment(model).champion
        ledger = self._store.retraining.ledger(model)
        promoted = [entry.at for entry in ledger if entry.action == "promote" and entry.to_version == champion]
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


def _share(shown: Sequence[Shown], model: str) -> float:
    """Share of some requests that a model scored; 0 without any."""
    scored = {row[0] for row in shown if model == FUSION or model in row[3]}
    return len(scored) / max(len({row[0] for row in shown}), 1)
