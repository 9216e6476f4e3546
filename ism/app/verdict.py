"""What a person says of a shown match, and what that changed, in words and numbers that were read afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ism.app import phrases
from ism.data.codes import nace
from ism.domain.errors import InvalidInputError, NotFoundError
from ism.domain.market import Company
from ism.fusion.methods import ADAPTIVE_MODEL

if TYPE_CHECKING:
    from ism.app.auth import Caller
    from ism.app.wiring import Application
    from ism.domain.judgement import Label

VERDICTS = ("accepted", "rejected")
MOST_REMARK = 2_000  # characters
_SHOWN = 0.005  # a number that moved by less reads the same


@dataclass(frozen=True)
class Verdict:
    """What was said.

    Attributes:
        recommendation_id: of the match.
        outcome: one of `VERDICTS`; None where it is only rated.
        rating: 1 to 5; None where it is not rated.
        remark: in the person's own words; may be empty.
        token: names it, so that a second click says nothing new; None lets the store name it.
    """

    recommendation_id: str
    outcome: str | None
    rating: int | None
    remark: str = ""
    token: str | None = None


@dataclass(frozen=True)
class Change:
    """What was said about which match, and what follows: sentences for people."""

    said: str
    offer: dict[str, Any]
    receiver: str
    rank: int
    now: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _State:
    """Everything that a statement can move."""

    label: Label | None
    trust: float | None
    weights: dict[str, float]
    triggers: dict[str, Any]


def read_verdict(given: Mapping[str, Any]) -> Verdict:
    """A sent form.

    Raises:
        InvalidInputError: names what cannot be used.
    """
    typed = {name: value.strip() for name, value in given.items() if isinstance(value, str)}
    outcome, rating, remark = typed.get("outcome") or None, typed.get("rating") or None, typed.get("remark", "")
    if not typed.get("recommendation_id"):
        raise InvalidInputError("recommendation_id", None, "Send the form of a match.")
    if outcome is not None and outcome not in VERDICTS:
        raise InvalidInputError("outcome", outcome, f"Give one of {', '.join(VERDICTS)}.")
    if (outcome is None or rating is not None) and rating not in {"1", "2", "3", "4", "5"}:
        raise InvalidInputError("rating", rating, "Choose a rating from 1 to 5, or accept or reject the match.")
    if len(remark) > MOST_REMARK:
        raise InvalidInputError("remark", f"{len(remark):,} characters", f"Give at most {MOST_REMARK:,}.")
    return Verdict(
        typed["recommendation_id"], outcome, int(rating) if rating else None, remark, typed.get("token") or None
    )


def actor_of(caller: Caller) -> str:
    """By which name feedback knows who is signed in."""
    return caller.key_id or caller.name.replace(" ", "-")


async def give_verdict(application: Application, verdict: Verdict, actor: str) -> Change:
    """Store what was said, judge it at once, and tell what moved.

    Args:
        application: takes it.
        verdict: from `read_verdict`.
        actor: who says it.

    Raises:
        InvalidInputError: the match was never shown, or is too old; kept as a dead letter.
        ConflictError: the token was used for something else.
        StorageError: it was not stored.
    """
    from anyio.to_thread import run_sync  # noqa: PLC0415 - only where something is said

    before = await run_sync(_state, application, verdict.recommendation_id, actor)
    events = [await application.feedback.take(event) for event in _events(verdict, actor)]
    await run_sync(application.feedback.loop.turn)
    after = await run_sync(_state, application, verdict.recommendation_id, actor)
    return await run_sync(_change, application, verdict, [str(event.event_id) for event in events], before, after)


def _events(verdict: Verdict, actor: str) -> list[dict[str, Any]]:
    about = {"recommendation_id": verdict.recommendation_id, "actor_id": actor}
    told: list[tuple[str, dict[str, Any]]] = []
    if verdict.outcome is not None:
        told.append(("match_outcome", {**about, "outcome": verdict.outcome}))
    if verdict.rating is not None:
        told.append(("user_feedback", {**about, "model_name": "fusion", "rating": verdict.rating}))
    if verdict.remark:
        told[-1][1]["reason" if verdict.rating is None else "feedback"] = verdict.remark
    return [
        {"type": kind, "source": "user", "data": data, "metadata": {"from": "page"}, **_named(verdict, kind)}
        for kind, data in told
    ]


def _named(verdict: Verdict, kind: str) -> dict[str, str]:
    return {} if verdict.token is None else {"event_id": f"page-{verdict.token}-{kind}"}


def _state(application: Application, recommendation_id: str, actor: str) -> _State:
    loop = application.feedback.loop
    history = loop.review.label_history(recommendation_id)
    trust = next((item.influence for item in loop.review.actors() if item.actor_id == actor), None)
    weights = application.fusion.registry.get(ADAPTIVE_MODEL).weights
    return _State(history[-1] if history else None, trust, weights, loop.triggering.status())


def _change(application: Application, verdict: Verdict, events: list[str], before: _State, after: _State) -> Change:
    shown = application.store.get_recommendation(verdict.recommendation_id)
    parts = [verdict.outcome, f"rated {verdict.rating} of 5" if verdict.rating else None]
    said = f"Recorded as {' and '.join(part for part in parts if part)}."
    held = _held(application, events)
    now = [held] if held else [_about_label(before.label, after.label, verdict)]
    now += [_about_weights(application, before.weights, after.weights), *_about_volume(application, after)]
    later = _about_later(application, after.label, shown.created_at)
    return Change(
        said,
        dict(shown.offer),
        receiver_name(application, shown.receiver_id),
        shown.rank,
        now,
        [*later, _about_trust(after.trust)],
    )


def receiver_name(application: Application, receiver_id: str) -> str:
    """A receiver for people: the company's name, or the title of the sector."""
    kind, _, code = receiver_id.partition(":")
    if kind == "nace":
        return nace.title(code)
    try:
        return application.store.get(Company, receiver_id).name
    except NotFoundError:  # it was removed meanwhile
        return receiver_id


def _held(application: Application, events: list[str]) -> str | None:
    """Why the statement does not count yet, where it is in quarantine."""
    held = application.feedback.loop.review.quarantined("held", None, 1000)
    entry = next((item for item in held if item.event_id in events), None)
    return None if entry is None else f"It does not count until an operator has looked: {entry.reason}"


def _about_label(before: Label | None, after: Label | None, verdict: Verdict) -> str:
    if after is None or after.value is None:
        balanced = verdict.rating == 3
        return (
            "A rating of 3 takes no side, so the match stays undecided."
            if balanced
            else "What is said for this match and against it balances, so it stays undecided."
        )
    side = "good" if after.value else "bad"
    if before is not None and before.value == after.value and abs(before.weight - after.weight) < _SHOWN:
        return f"The match counted as {side} already, with weight {after.weight:.2f} of 1; that stays."
    was = (
        ""
        if before is None or before.value is None
        else f" (before: {'good' if before.value else 'bad'}, {before.weight:.2f})"
    )
    return f"The match counts as {side} from now on, with weight {after.weight:.2f} of 1{was}."


def _about_weights(application: Application, before: Mapping[str, float], after: Mapping[str, float]) -> str:
    moved = [
        f"{phrases.engine_label(name).lower()} {before[name]:.3f} → {after[name]:.3f}"
        for name in sorted(after, key=lambda name: -after[name])
        if abs(after[name] - before[name]) >= _SHOWN / 10
    ]
    if not moved:
        return "Adaptive weights: unchanged; each match moves them once, when its outcome is first known."
    active = application.fusion.get_active_model().model_id
    used = (
        "They rank the next list."
        if active == ADAPTIVE_MODEL
        else f"They rank lists once the adaptive model is chosen; now {active} answers."
    )
    return f"Adaptive weights: {', '.join(moved)}. {used}"


def _about_volume(application: Application, after: _State) -> list[str]:
    """How far the models are from a retraining by volume; the one that is closest."""
    limit = application.feedback.loop.rules.triggers.volume
    counts = [int(state["matured_events"]) for state in after.triggers.values()]
    return [f"Feedback since the last retraining: {max(counts)} of {limit}; more asks for one."] if counts else []


def _about_later(application: Application, label: Label | None, shown_at: datetime | None) -> list[str]:
    if label is not None and label.detail.get("verified"):
        return ["A system has seen the outcome, so nothing weightier can come."]
    horizon = application.feedback.loop.rules.horizon
    if (label is None or label.value is None) and shown_at is not None:
        end = _day(shown_at + horizon)
        return [f"It stays open until somebody tells more; later than {end}, silence after opening is a weak no."]
    return ["A delivery or a failure that a system reports will weigh more than anybody’s word, whenever it comes."]


def _about_trust(trust: float | None) -> str:
    if trust is None:
        return "Your trust: not estimated yet; it starts at 0.20 and grows when outcomes and others bear you out."
    return f"Your trust: {trust:.2f} of 1; it grows when outcomes and others bear you out."


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%-d %b %Y")
