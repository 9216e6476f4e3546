"""What feedback says of models that serve: outcomes of a canary's two arms, and alarms about a promoted version."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from ism.domain.judgement import Exposure, Label
from ism.feedback.ladder import RUNG
from ism.retraining.e_process import Arm, ArmOutcome
from ism.retraining.parts import ShadowCount
from ism.retraining.registry import Registry
from ism.storage import Store

# How good a match looks that is not resolved yet: a proxy, the same for both arms, so that it cannot favour one.
_PROXY: Final[dict[str, float]] = {
    "opened": 0.25,
    "contacted": 0.5,
    "negotiating": 0.75,
    "accepted": 1.0,
    "delivered": 1.0,
}
_ALARMS: Final = frozenset({"negative_share", "trend", "live_quality"})
_DECISIONS = 1000


class CanaryOutcomes:
    """What came of both arms of a canary: one value for each visit of a company, a fixed time after it was answered.

    The value is the best among the receivers that were shown: a label's value times the trust in its evidence where it
    has matured by then, else how far the match got. Because the time is fixed, a visit's value never changes later, as
    the sequential test asks.

    Args:
        store: holds what was shown and the labels.
        registry: tells when the canary began.
        wait: from being shown to being judged.
        clock: tells the time, UTC.
    """

    def __init__(self, store: Store, registry: Registry, wait: timedelta, clock: Callable[[], datetime]) -> None:
        self._store, self._registry, self._wait, self._clock = store, registry, wait, clock

    def __call__(self, model_name: str, version_id: str) -> list[ArmOutcome]:
        """Outcomes in the order of the visits; empty before the canary, and of visits whose company is not known."""
        began = [
            entry.at
            for entry in self._registry.ledger(model_name)
            if entry.action == "canary" and entry.to_version == version_id
        ]
        if not began:
            return []
        challenger = self._registry.find(model_name, version_id).artifact[:12]
        with self._store.judging(write=False) as tables:
            shown = tables.labels.shown(began[-1], self._clock() - self._wait)
            labels = tables.labels.labels_of(item.recommendation_id for item in shown)
        then = _as_of(shown, labels, self._wait)
        best: dict[str, float] = {}
        for item in shown:
            value = _value(then.get(item.recommendation_id))
            best[item.request_id] = max(best.get(item.request_id, 0.0), value)
        first = {item.request_id: item for item in reversed(shown)}
        return [
            ArmOutcome(str(item.offer["company_id"]), _arm(item, model_name, challenger), best[request])
            for request, item in reversed(first.items())
            if item.offer.get("company_id")
        ]


class FromFeedback:
    """What can be seen without serving: what feedback says. Of a shadow only the process that serves knows.

    Args:
        store: holds what was shown, labels and decisions.
        registry: tells what served when.
        wait: from being shown to being judged.
        clock: tells the time, UTC.
    """

    def __init__(self, store: Store, registry: Registry, wait: timedelta, clock: Callable[[], datetime]) -> None:
        self.outcomes = CanaryOutcomes(store, registry, wait, clock)
        self.alarm = LiveAlarm(store, registry)

    def shadow(self, version_id: str) -> ShadowCount:
        """Nothing."""
        return ShadowCount()


class LiveAlarm:
    """Why a promoted version must go: feedback turned bad after it was promoted.

    Args:
        store: holds what was decided about triggers.
        registry: tells when the version was promoted.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store, self._registry = store, registry

    def __call__(self, model_name: str, version_id: str) -> str | None:
        """The reason, as the trigger gave it; None while nothing is wrong."""
        promoted = [
            entry.at
            for entry in self._registry.ledger(model_name)
            if entry.action == "promote" and entry.to_version == version_id
        ]
        if not promoted:
            return None
        with self._store.judging(write=False) as tables:
            decisions = tables.triggers.decisions(model_name, _DECISIONS)
        bad = [item for item in decisions if item.cause in _ALARMS and item.decided_at > promoted[-1]]
        return bad[-1].reason if bad else None


def _as_of(shown: Iterable[Exposure], labels: Iterable[Label], wait: timedelta) -> dict[str, Label]:
    """The label that each recommendation had when its time was over."""
    until = {item.recommendation_id: item.shown_at + wait for item in shown}
    return {label.recommendation_id: label for label in labels if label.as_of <= until[label.recommendation_id]}


def _value(label: Label | None) -> float:
    if label is None:
        return 0.0
    if label.state == "matured" and label.value is not None:
        return label.value * label.weight
    return _PROXY.get(label.outcome, 0.0) if RUNG[label.outcome] else 0.0


def _arm(item: Exposure, model_name: str, challenger: str) -> Arm:
    return "challenger" if item.model_versions.get(model_name) == challenger else "champion"
