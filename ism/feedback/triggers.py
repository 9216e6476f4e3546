"""Whether a model should be trained again: the decision, as a pure function of state, proposal and time.

A proposal passes, in this order: *fingerprint* (the same evidence never asks twice), *coalescing* (one request at a
time for a model), *cool-down* (skipped by a manual one) and the *weekly budget* (skipped by nobody). The gate that a
trained model must pass lies elsewhere and is skipped by nobody either. Thresholds have hysteresis: a cause that has
asked stays quiet until its value has fallen below a lower threshold, so that a value which trembles around the
threshold asks once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ism.domain.feedback import TriggerCause, TriggerDecision, TriggerType
from ism.feedback.schedule import Weekly

Numbers = dict[str, Any]
TYPE_OF: Final[dict[TriggerCause, TriggerType]] = {
    "volume": "feedback",
    "negative_share": "feedback",
    "trend": "performance",
    "live_quality": "performance",
    "schedule": "schedule",
    "manual": "manual",
}
WEEK = timedelta(days=7)
_REMEMBERED = 64


@dataclass(frozen=True)
class TriggerRules:
    """When to ask, and how often at most.

    Attributes:
        volume: ask above so many new matured feedback events.
        negative_share: ask when the share of negative ratings exceeds it.
        negative_share_leave: be ready to ask again below it.
        ratings: how many of the latest ratings the share and the trend look at.
        fall: ask when the rating trend or the live quality has fallen by more, on a scale of 0..1.
        fall_leave: be ready to ask again below it.
        cool_down: from one request to the next for a model.
        weekly_budget: requests for a model in any seven days.
        run_limit: how long a request counts as being worked on when nobody says that it ended.
        weekly: when to ask in any case; None never.
    """

    volume: int = 100
    negative_share: float = 0.30
    negative_share_leave: float = 0.25
    ratings: int = 50
    fall: float = 0.10
    fall_leave: float = 0.05
    cool_down: timedelta = timedelta(hours=24)
    weekly_budget: int = 3
    run_limit: timedelta = timedelta(hours=24)
    weekly: Weekly | None = field(default_factory=Weekly)


@dataclass(frozen=True)
class Signals:
    """What is known of a model now.

    Attributes:
        sequence: the last event that went into the numbers.
        matured: matured feedback events since the last request.
        negative_share: of the latest ratings; None while there are too few.
        trend_fall: mean of the ratings before minus that of the latest ones, on a scale of 0..1; None as above.
        quality_fall: reference minus latest live quality, on a scale of 0..1; None where none is reported.
        numbers: what the figures rest on, for the record.
    """

    sequence: int
    matured: int = 0
    negative_share: float | None = None
    trend_fall: float | None = None
    quality_fall: float | None = None
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """A reason to ask, with its numbers and the evidence that tells it from others."""

    cause: TriggerCause
    evidence: str
    numbers: Numbers


@dataclass(frozen=True)
class Fired:
    """A request that was made."""

    request_id: str
    fingerprint: str
    at: datetime


@dataclass(frozen=True)
class TriggerState:
    """What a model's decisions have to remember.

    Attributes:
        sequence: the last event that an earlier request has taken in.
        fired: the latest requests, oldest first.
        running: the request that is being worked on.
        quiet: causes that have asked and wait for their value to fall.
        waiting: those of them that a running request took in.
        episodes: how often each cause has become ready again.
        due: the last weekly moment that was handled.
        deferred: fingerprints whose deferral is on record, so that it is recorded once.
    """

    sequence: int = 0
    fired: tuple[Fired, ...] = ()
    running: Fired | None = None
    quiet: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    episodes: dict[str, int] = field(default_factory=dict)
    due: datetime | None = None
    deferred: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """What became of a proposal."""

    proposal: Proposal
    decision: TriggerDecision
    reason: str
    fingerprint: str
    numbers: Numbers
    request_id: str | None = None


def fingerprint(model: str, proposal: Proposal) -> str:
    """The same for the same cause on the same evidence: 64 hexadecimal digits."""
    text = json.dumps([model, proposal.cause, proposal.evidence])
    return hashlib.sha256(text.encode()).hexdigest()


def propose(
    state: TriggerState, signals: Signals, now: datetime, rules: TriggerRules
) -> tuple[TriggerState, list[Proposal]]:
    """What speaks for a training now, and the state with hysteresis and the weekly moment moved on."""
    proposals: list[Proposal] = []
    if state.running is not None and now >= state.running.at + rules.run_limit:
        state = finished(state, state.running.request_id)
    levels: list[tuple[TriggerCause, float | None, float, float]] = [
        ("volume", signals.matured, rules.volume, rules.volume),
        ("negative_share", signals.negative_share, rules.negative_share, rules.negative_share_leave),
        ("trend", signals.trend_fall, rules.fall, rules.fall_leave),
        ("live_quality", signals.quality_fall, rules.fall, rules.fall_leave),
    ]
    for cause, value, enter, leave in levels:
        if value is None:
            continue
        if cause in state.quiet and value < leave:
            state = _ready(state, frozenset({cause}))
        if cause not in state.quiet and value > enter:
            evidence = f"{state.sequence}/{state.episodes.get(cause, 0)}"
            proposals.append(Proposal(cause, evidence, {"value": value, "threshold": enter, **signals.numbers}))
    if rules.weekly is not None:
        due = rules.weekly.latest(now)
        if state.due is None:
            state = replace(state, due=due)  # a new model does not owe a past Monday
        elif due > state.due:
            proposals.append(Proposal("schedule", due.isoformat(), {"due": due.isoformat()}))
    return state, proposals


def manual(now: datetime, reason: str, by: str) -> Proposal:
    """An operator's wish."""
    return Proposal("manual", f"{now.isoformat()}/{by}", {"by": by, "reason": reason})


def decide(
    model: str, state: TriggerState, proposal: Proposal, signals: Signals, now: datetime, rules: TriggerRules
) -> tuple[TriggerState, Decision]:
    """What becomes of one proposal.

    Args:
        model: which model it is for.
        state: what its decisions remember.
        proposal: what speaks for a training.
        signals: tell up to which event a request takes the evidence in.
        now: the time.
        rules: limits.

    Returns:
        The state afterwards, and the decision; ``request_id`` is new where it fired.
    """
    mark = fingerprint(model, proposal)
    recent = [item for item in state.fired if item.at > now - WEEK]
    numbers = {
        **proposal.numbers,
        "requests_in_seven_days": len(recent),
        "weekly_budget": rules.weekly_budget,
        "cool_down_seconds": rules.cool_down.total_seconds(),
    }

    def said(decision: TriggerDecision, reason: str, request_id: str | None = None, **more: object) -> Decision:
        return Decision(proposal, decision, reason, mark, {**numbers, **more}, request_id)

    known = next((item for item in state.fired if item.fingerprint == mark), None)
    if known is not None:
        return _answered(state, proposal), said(
            "coalesced", "The same evidence has led to a request already.", known.request_id
        )
    running = state.running
    if running is not None and now < running.at + rules.run_limit:
        joined = "Another request for this model is being worked on; it takes this one in."
        after = _answered(state, proposal)
        after = replace(after, waiting=after.waiting | (after.quiet - state.quiet))
        return after, said("coalesced", joined, running.request_id)
    if proposal.cause != "manual" and state.fired and now < (until := state.fired[-1].at + rules.cool_down):
        cooling = f"The cool-down after the last request ends at {until.isoformat()}."
        return _postponed(state, mark), said("deferred", cooling, until=until.isoformat())
    if len(recent) >= rules.weekly_budget:
        free = (recent[-rules.weekly_budget].at + WEEK).isoformat() if rules.weekly_budget else None
        spent = "The weekly budget is spent" + (f"; the next request can be made at {free}." if free else ".")
        if proposal.cause == "manual":
            return state, said("refused", f"{spent} Raise trigger_weekly_budget to train earlier.", until=free)
        return _postponed(state, mark), said("deferred", spent, until=free)
    made = Fired(f"retrain-{mark[:24]}", mark, now)
    after = replace(
        _answered(state, proposal),
        sequence=max(state.sequence, signals.sequence),
        fired=(*state.fired, made)[-_REMEMBERED:],
        running=made,
        deferred=frozenset(),
    )
    return after, said("fired", _told(proposal), made.request_id)


def finished(state: TriggerState, request_id: str) -> TriggerState:
    """The state after a request was worked off, whatever came of it; what it took in may ask again."""
    if state.running is None or state.running.request_id != request_id:
        return state
    return replace(_ready(state, state.waiting), running=None, waiting=frozenset())


def new_decisions(before: TriggerState, decisions: Iterable[Decision]) -> list[Decision]:
    """Those to put on record: a deferral that is on record already is left out."""
    return [item for item in decisions if item.decision != "deferred" or item.fingerprint not in before.deferred]


def _answered(state: TriggerState, proposal: Proposal) -> TriggerState:
    """A request takes the proposal in, so its cause is quiet from now on."""
    if proposal.cause == "manual":
        return state
    if proposal.cause == "schedule":
        return replace(state, due=datetime.fromisoformat(proposal.evidence))
    return replace(state, quiet=state.quiet | {proposal.cause})


def _ready(state: TriggerState, causes: frozenset[str]) -> TriggerState:
    """Causes may ask again; what they ask for then is another episode."""
    episodes = {**state.episodes, **{cause: state.episodes.get(cause, 0) + 1 for cause in causes}}
    return replace(state, quiet=state.quiet - causes, episodes=episodes)


def _postponed(state: TriggerState, mark: str) -> TriggerState:
    return replace(state, deferred=state.deferred | {mark})


def _told(proposal: Proposal) -> str:
    numbers = proposal.numbers
    if proposal.cause == "manual":
        return f"{numbers['by']} asked for it: {numbers['reason']}"
    if proposal.cause == "schedule":
        return f"The weekly moment {numbers['due']} has come."
    words = {
        "volume": "new matured feedback events",
        "negative_share": "share of negative ratings",
        "trend": "fall of the mean rating",
        "live_quality": "fall of the live quality",
    }
    return f"{words[proposal.cause]}: {numbers['value']:.4g} exceeds {numbers['threshold']:g}."
