"""Triggers with a memory: evaluated for each model, decided once at a time, on record, and delivered."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ism.domain.errors import InvalidInputError
from ism.domain.feedback import RetrainingRequest, RetrainingTrigger, TriggerCause
from ism.feedback.limits import FeedbackRules
from ism.feedback.signals import latest_ratings, limited_volume, negative_share, unit_mean
from ism.feedback.triggers import (
    TYPE_OF,
    Decision,
    Fired,
    Proposal,
    Signals,
    TriggerState,
    decide,
    finished,
    manual,
    new_decisions,
    propose,
)
from ism.storage import Store

if TYPE_CHECKING:
    from ism.storage.judgement import Judgements

LIVE_QUALITY = "live_quality"
_STATE, _LOCK = "feedback.trigger:", "triggers"
_READ_RATINGS = 10  # times as many as are looked at, as one actor's may be left out
_QUALITIES = 20
_MOST_DELIVERED = 100  # a turn
_RETRAINING: Final[dict[TriggerCause, str]] = {
    "volume": "feedback_driven",
    "negative_share": "feedback_driven",
    "trend": "adaptive",
    "live_quality": "adaptive",
    "schedule": "full",
    "manual": "full",
}
Deliver = Callable[[RetrainingRequest], object]


class Triggering:
    """Decides when models are to be trained again.

    Args:
        store: holds the numbers, the decisions and the requests.
        rules: every number.
        clock: says what time it is.
        models: which models can be trained.
    """

    def __init__(
        self, store: Store, rules: FeedbackRules, clock: Callable[[], datetime], models: Sequence[str]
    ) -> None:
        self._store, self._rules, self._clock, self.models = store, rules, clock, tuple(models)

    def evaluate(self) -> list[RetrainingTrigger]:
        """Look at every model; the decisions that were put on record."""
        with self._store.judging() as tables:
            now = self._begin(tables)
            return [item for model in self.models for item in self._evaluate(tables, model, now)]

    def ask(self, model: str, reason: str, by: str) -> RetrainingTrigger:
        """An operator's wish; it skips the cool-down, not the budget.

        Raises:
            InvalidInputError: there is no such model.
        """
        if model not in self.models:
            raise InvalidInputError("model_name", model, f"Give one of: {', '.join(self.models)}.")
        with self._store.judging() as tables:
            now = self._begin(tables)
            state, signals = self._state(tables, model), self._signals(tables, model)
            return self._settle(tables, model, state, [manual(now, reason, by)], signals, now)[0]

    def finish(self, request_id: str) -> RetrainingRequest:
        """Note that a request was worked off, whatever came of it.

        Raises:
            NotFoundError: there is no such request.
        """
        with self._store.judging() as tables:
            now = self._begin(tables)
            request = tables.triggers.mark_request(request_id, "finished", now)
            state = self._state(tables, request.model_name)
            self._keep(tables, request.model_name, finished(state, request_id))
            return request

    def deliver(self, take: Deliver) -> int:
        """Hand every open request on, the oldest first; how many.

        A request whose taker raises stays open and is handed on next time, so a taker may see one twice: it knows it by
        ``request_id``.
        """
        with self._store.judging(write=False) as tables:
            waiting = tables.triggers.open_requests(_MOST_DELIVERED)
        for request in waiting:
            take(request)
            with self._store.judging() as tables:
                tables.triggers.mark_request(request.request_id, "delivered", self._clock())
        return len(waiting)

    def status(self) -> dict[str, Any]:
        """For each model: what is being asked for, what was decided last, what is left of the budget."""
        now = self._clock()
        with self._store.judging(write=False) as tables:
            return {model: self._status(tables, model, now) for model in self.models}

    def decisions(self, model: str | None = None, limit: int = 100) -> list[RetrainingTrigger]:
        """The latest decisions, the latest first."""
        with self._store.judging(write=False) as tables:
            return tables.triggers.decisions(model, limit)

    def requests(self, limit: int = 100) -> list[RetrainingRequest]:
        """The latest requests, the latest first."""
        with self._store.judging(write=False) as tables:
            return tables.triggers.requests(limit)

    # --- within a transaction ---

    def _begin(self, tables: Judgements) -> datetime:
        tables.take_cursor(_LOCK)  # one decision at a time, also among processes
        return self._clock()

    def _evaluate(self, tables: Judgements, model: str, now: datetime) -> list[RetrainingTrigger]:
        before = self._state(tables, model)
        signals = self._signals(tables, model, before)
        state, proposals = propose(before, signals, now, self._rules.triggers)
        return self._settle(tables, model, state, proposals, signals, now)

    def _settle(
        self,
        tables: Judgements,
        model: str,
        state: TriggerState,
        proposals: Sequence[Proposal],
        signals: Signals,
        now: datetime,
    ) -> list[RetrainingTrigger]:
        """Decide on proposals one after another, and write everything down."""
        known, made = state, list[Decision]()
        for proposal in proposals:
            state, decision = decide(model, state, proposal, signals, now, self._rules.triggers)
            made.append(decision)
        self._keep(tables, model, state)
        told = [_trigger(model, item, now) for item in new_decisions(known, made)]
        tables.triggers.add_decisions(told)
        tables.triggers.add_requests([_request(item) for item in told if item.decision == "fired"])
        return told

    def _signals(self, tables: Judgements, model: str, state: TriggerState | None = None) -> Signals:
        rules, limits = self._rules, self._rules.triggers
        after = (state or self._state(tables, model)).sequence
        volume = limited_volume(tables.labels.volume(model, after), limits.volume, rules.trigger_actor_share)
        read = tables.labels.ratings(model, _READ_RATINGS * 2 * limits.ratings)
        taken = latest_ratings(read, 2 * limits.ratings, rules.trigger_actor_share / 2)
        last, before = taken[: limits.ratings], taken[limits.ratings :]
        quality = tables.metrics(LIVE_QUALITY, model, _QUALITIES)
        enough = len(last) >= rules.min_ratings
        return Signals(
            sequence=tables.cursor("judge"),
            matured=volume,
            negative_share=negative_share(last) if enough else None,
            trend_fall=_fall(unit_mean(before), unit_mean(last)) if len(before) >= rules.min_ratings else None,
            quality_fall=_fall(max(quality[1:]), quality[0]) if len(quality) > 1 else None,
            numbers={"matured_events": volume, "ratings": len(last), "ratings_before": len(before)},
        )

    def _status(self, tables: Judgements, model: str, now: datetime) -> dict[str, Any]:
        state, limits = self._state(tables, model), self._rules.triggers
        signals = self._signals(tables, model, state)
        last = tables.triggers.decisions(model, 1)
        week = [item for item in state.fired if (now - item.at).days < 7]
        return {
            "running_request": state.running.request_id if state.running else None,
            "matured_events": signals.matured,
            "negative_share": signals.negative_share,
            "rating_trend_fall": signals.trend_fall,
            "live_quality_fall": signals.quality_fall,
            "quiet_causes": sorted(state.quiet),
            "cool_down_until": (state.fired[-1].at + limits.cool_down).isoformat() if state.fired else None,
            "budget_left": max(0, limits.weekly_budget - len(week)),
            "next_scheduled": limits.weekly.next(now).isoformat() if limits.weekly else None,
            "last_decision": last[0].decision if last else None,
            "last_reason": last[0].reason if last else None,
        }

    def _state(self, tables: Judgements, model: str) -> TriggerState:
        return _state_from(tables.note(_STATE + model))

    def _keep(self, tables: Judgements, model: str, state: TriggerState) -> None:
        tables.put_note(_STATE + model, _state_json(state))


def _fall(before: float, after: float) -> float:
    return round(before - after, 9)  # 0.9 - 0.8 must not exceed 0.1


def _trigger(model: str, item: Decision, now: datetime) -> RetrainingTrigger:
    cause = item.proposal.cause
    return RetrainingTrigger(
        trigger_id=uuid.uuid4().hex,
        model_name=model,
        trigger_type=TYPE_OF[cause],
        cause=cause,
        decision=item.decision,
        reason=item.reason,
        fingerprint=item.fingerprint,
        numbers=item.numbers,
        request_id=item.request_id,
        decided_at=now,
    )


def _request(item: RetrainingTrigger) -> RetrainingRequest:
    return RetrainingRequest(
        request_id=str(item.request_id),
        model_name=item.model_name,
        trigger_type=item.trigger_type,
        fingerprint=item.fingerprint,
        trigger_id=item.trigger_id,
        config={"retraining_type": _RETRAINING[item.cause]},
        created_at=item.decided_at,
    )


def _state_json(state: TriggerState) -> dict[str, Any]:
    values = asdict(state)
    for name in ("quiet", "waiting", "deferred"):
        values[name] = sorted(values[name])
    values["fired"] = [_fired_json(item) for item in state.fired]
    values["running"] = _fired_json(state.running) if state.running else None
    values["due"] = state.due.isoformat() if state.due else None
    return values


def _state_from(values: Any) -> TriggerState:
    if values is None:
        return TriggerState()
    return TriggerState(
        sequence=values["sequence"],
        episodes=dict(values["episodes"]),
        quiet=frozenset(values["quiet"]),
        waiting=frozenset(values["waiting"]),
        deferred=frozenset(values["deferred"]),
        fired=tuple(_fired_from(item) for item in values["fired"]),
        running=_fired_from(values["running"]) if values["running"] else None,
        due=datetime.fromisoformat(values["due"]) if values["due"] else None,
    )


def _fired_json(item: Fired) -> dict[str, str]:
    return {"request_id": item.request_id, "fingerprint": item.fingerprint, "at": item.at.isoformat()}


def _fired_from(values: dict[str, str]) -> Fired:
    return Fired(values["request_id"], values["fingerprint"], datetime.fromisoformat(values["at"]))
