"""Stored values to kernels and back: statements from events, labels and trust from statements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ism.domain.feedback import StoredEvent
from ism.domain.judgement import ActorTrust, Exposure, Label, Statement
from ism.feedback.blocs import find_blocs
from ism.feedback.claims import OUTCOME_CLAIMS, Claims, claims_of, one_voice_each, rating_claim
from ism.feedback.labels import Verdicts, hear_silence, resolve
from ism.feedback.ladder import LADDER, RUNG, Ints, furthest, join_events
from ism.feedback.limits import FeedbackRules
from ism.feedback.priority import priority_of
from ism.feedback.text import Reading, text_digest
from ism.feedback.trust import Trust, TrustRules, estimate_trust, influence_of

Standing = tuple[float, str]  # an actor's influence, and the bloc that it is counted with
ANONYMOUS = "anonymous"
_LONGEST = 200  # characters of an identifier
# What moved by less is not written again.
_WEIGHT_MOVED, _TRUST_MOVED = 0.05, 0.01


# --- statements ---


def remark_of(stored: StoredEvent) -> str | None:
    """The free text of an event, if it has one."""
    text = stored.event.data.get("feedback") or stored.event.data.get("reason")
    return text if isinstance(text, str) and text.strip() else None


def statement_of(stored: StoredEvent, shown: Exposure | None, reading: Reading | None) -> Statement | None:
    """What an event says about the quality of a match; None where it says nothing."""
    event = stored.event
    rating, outcome = event.data.get("rating"), event.data.get("outcome")
    rated = rating is not None and event.event_type == "user_feedback"
    claim = rating_claim(float(rating)) if rated else OUTCOME_CLAIMS.get(str(outcome))  # type: ignore[arg-type]  # a number once rated
    if event.event_type not in {"user_feedback", "match_outcome"} or (claim is None and not rated and reading is None):
        return None
    value, strength = claim or (None, 0.0)
    actor = stored.actor_id or (ANONYMOUS if event.source == "user" else event.source)
    company = event.data.get("company_id") or event.metadata.get("company_id") or actor
    text = remark_of(stored)
    return Statement(
        sequence=stored.sequence,
        event_id=event.event_id,
        actor_id=actor,
        company_id=str(company)[:_LONGEST],
        recorded_at=event.recorded_at,
        recommendation_id=stored.recommendation_id if shown is not None else None,
        subject=None if shown is None else subject_of(shown),
        model_name=stored.model_name,
        rating=float(rating) if rated else None,  # type: ignore[arg-type]  # as above
        outcome=outcome,
        value=value,
        strength=strength,
        verified=event.source != "user" and claim is not None and not rated,
        text_digest=text_digest(text) if text else None,
        sentiment=reading.sentiment if reading else None,
        topic=reading.topic if reading else None,
        priority=priority_of(
            event.event_type,
            rating=float(rating) if rated else None,  # type: ignore[arg-type]  # as above
            outcome=outcome,
            sentiment=reading.sentiment if reading else None,
            topic=reading.topic if reading else None,
        ),
    )


def subject_of(shown: Exposure) -> str:
    """Kind of material and receiver: what statements about different recommendations can agree on."""
    kind = shown.offer.get("ewc") or str(shown.offer.get("material", "")).strip().casefold()
    subject = f"{kind}|{shown.receiver_id}"
    return subject if len(subject) <= _LONGEST else hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()


class Numbering(dict[str, int]):
    """Numbers for names, from 0 on in the order in which they are first asked for."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def claims_from(
    statements: Iterable[Statement],
    subjects: Numbering,
    actors: Numbering,
    companies: Numbering,
    standing: Mapping[str, Standing] | None = None,
) -> Claims:
    """Statements that take a side, as columns.

    Args:
        statements: those without a subject are left out.
        subjects: numbers of recommendations or subjects.
        actors: numbers of actors.
        companies: numbers of companies.
        standing: with it each recommendation is a subject of its own, and a bloc speaks as one company.
    """
    rows = []
    for item in statements:
        name = item.subject if standing is None else item.recommendation_id
        if name is not None and item.value is not None:
            known = None if standing is None else standing.get(item.actor_id)
            numbers = subjects[name], actors[item.actor_id], companies[known[1] if known else item.company_id]
            rows.append((*numbers, item.value, item.strength, item.verified, item.recorded_at.timestamp()))
    return claims_of(rows)


# --- labels ---


def labels_of(
    shown: Sequence[Exposure],
    outcomes: Iterable[Mapping[Any, Any]],
    statements: Iterable[Statement],
    standing: Mapping[str, Standing],
    now: datetime,
    rules: FeedbackRules,
) -> list[Label]:
    """What is to be believed of recommendations now; one label each, in the given order.

    Args:
        shown: the recommendations.
        outcomes: ``recommendation_id``, ``data`` and ``event_time`` of their outcome events.
        statements: about them, those that count.
        standing: influence and bloc of actors; others are new.
        now: the time.
        rules: horizon and prior.
    """
    numbers, actors, companies = Numbering(), Numbering(), Numbering()
    shown_at = np.asarray([item.shown_at.timestamp() for item in shown])
    for item in shown:
        numbers[item.recommendation_id]
    stage = _furthest(outcomes, numbers, len(shown))
    about = [item for item in statements if item.recommendation_id in numbers]
    claims = claims_from(about, numbers, actors, companies, standing)
    new = (new_influence(rules.trust), "")
    trusted = np.asarray([standing.get(name, new)[0] for name in actors] or [new[0]])
    heard = resolve(claims, trusted, len(shown))
    heard = hear_silence(heard, stage, shown_at, now.timestamp(), rules.horizon.total_seconds())
    home = {item.actor_id: item.company_id for item in about}
    speakers = [(name, home[name]) for name in actors]
    blocs = list(companies)
    labels = [_label(item, place, heard, int(stage[place]), speakers, blocs) for place, item in enumerate(shown)]
    return [replace(label, as_of=now) for label in labels]


def has_moved(before: Label | None, after: Label) -> bool:
    """Whether a label is worth writing: it is new, says something else, or weighs clearly more or less."""
    if before is None:
        return True
    said = (before.state, before.outcome, before.value) != (after.state, after.outcome, after.value)
    return said or abs(before.weight - after.weight) > _WEIGHT_MOVED


def new_influence(rules: TrustRules) -> float:
    """Influence of an actor who was never judged."""
    return float(influence_of(np.zeros(1), np.zeros(1), rules)[0])


def _furthest(outcomes: Iterable[Mapping[Any, Any]], numbers: Numbering, count: int) -> Ints:
    rows = [
        (numbers[row["recommendation_id"]], RUNG[row["data"]["outcome"]], row["event_time"].timestamp())
        for row in outcomes
        if row["recommendation_id"] in numbers and row["data"].get("outcome") in RUNG
    ]
    subject, rung, time = (np.asarray(column) for column in (list(zip(*rows, strict=True)) or [(), (), ()]))
    reached = furthest(join_events(subject.astype(np.intp), rung.astype(np.intp), time.astype(np.float64), count))
    return np.maximum(reached, RUNG["shown"])  # it was logged when it was shown


def _label(
    shown: Exposure, place: int, heard: Verdicts, stage: int, speakers: list[tuple[str, str]], blocs: list[str]
) -> Label:
    """A label, not yet dated."""
    known, speaker = bool(heard.known[place]), int(heard.speaker[place])
    voice = heard.voices
    detail: dict[str, Any] = {"good": round(float(heard.good[place]), 6), "bad": round(float(heard.bad[place]), 6)}
    if known and speaker < 0:
        detail["silence"] = True
    if speaker >= 0:
        detail |= {"bloc": blocs[voice.company[speaker]], "verified": bool(voice.verified[speaker])}
    actor, company = speakers[voice.actor[speaker]] if speaker >= 0 else (None, None)
    return Label(
        recommendation_id=shown.recommendation_id,
        as_of=shown.shown_at,
        state="matured" if known else "censored",
        outcome=LADDER[stage],
        value=float(heard.value[place]) if known else None,
        weight=float(heard.weight[place]) if known else 0.0,
        shown_at=shown.shown_at,
        matured_at=datetime.fromtimestamp(float(heard.matured_at[place]), UTC) if known else None,
        actor_id=actor,
        company_id=company,
        detail=detail,
    )


# --- trust ---


def judge_actors(statements: Sequence[Statement], now: datetime, rules: TrustRules) -> list[ActorTrust]:
    """Trust of everybody who said something about a match, with the reasons.

    Args:
        statements: those that count.
        now: the time.
        rules: the model's numbers.
    """
    subjects, actors, companies = Numbering(), Numbering(), Numbering()
    claims = one_voice_each(claims_from(statements, subjects, actors, companies))
    if not len(claims):
        return []
    blocs = find_blocs(claims, len(companies))
    trust = estimate_trust(claims, blocs[claims.company], len(actors), rules)
    counts = np.bincount(claims.actor, minlength=len(actors))
    home = {item.actor_id: item.company_id for item in statements}
    firms = list(companies)
    members: dict[int, list[str]] = {}
    for number, name in enumerate(firms):
        members.setdefault(int(blocs[number]), []).append(name)
    judged = []
    for name, place in actors.items():
        bloc = sorted(members[int(blocs[companies[home[name]]])])
        judged.append(
            ActorTrust(
                actor_id=name,
                company_id=home[name],
                trust=float(trust.influence[place]),
                statements=int(counts[place]),
                bloc=bloc[0],
                reasons=_reasons(trust, place, bloc, rules),
                updated_at=now,
            )
        )
    return judged


def moved_actors(before: Mapping[str, ActorTrust], after: Sequence[ActorTrust]) -> list[ActorTrust]:
    """Those whose trust or bloc is worth writing, with an operator's word kept."""
    moved = []
    for item in after:
        old = before.get(item.actor_id)
        if old is None or abs(old.trust - item.trust) > _TRUST_MOVED or old.bloc != item.bloc:
            kept = ("override_trust", "override_reason", "override_by", "override_at")
            moved.append(item if old is None else replace(item, **{name: getattr(old, name) for name in kept}))
    return moved


def _reasons(trust: Trust, place: int, bloc: list[str], rules: TrustRules) -> tuple[str, ...]:
    start = new_influence(rules)
    said = [
        f"A new actor starts at {start:.2f}.",
        f"Outcomes bore out {trust.outcome_right[place]:.1f} of its statements "
        f"and contradicted {trust.outcome_wrong[place]:.1f}.",
        f"Opinions of others agreed with {trust.peer_right[place]:.1f} and contradicted {trust.peer_wrong[place]:.1f}; "
        f"together they count {rules.peer_limit:g} at most.",
    ]
    if len(bloc) > 1:
        more = f" and {len(bloc) - 5} more" if len(bloc) > 5 else ""
        said.append(f"Counted as one voice with companies that share its errors: {', '.join(bloc[:5])}{more}.")
    return tuple(said)
