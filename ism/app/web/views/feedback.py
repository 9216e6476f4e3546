"""Feedback: how content people are, what they say, what is kept out, and what could not be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ism.app.phrases import engine_label
from ism.app.web import charts
from ism.app.web.page import Asked, Filter, Page
from ism.app.web.panel import ACTIONS, Action, Column, Empty, Panel, Row
from ism.domain.feedback import DeadLetterState
from ism.domain.judgement import QuarantineState
from ism.storage.trend_sql import Said

_ROWS = 100
_DECISIONS = 1000  # the latest
_SHOWN = 160  # characters of a body
_NOTHING_SAID = Empty(
    "Nobody has said anything in this time.",
    "Try a match, then accept, reject or rate a receiver; or choose a longer time.",
    "/matches",
    "Try a match",
)
_COUNTED = "Statements in quarantine are left out. "


def said(asked: Asked) -> list[Said]:
    """What was said in the period, step by step."""
    period = asked.period
    with asked.application.store.judging(write=False) as tables:
        return tables.said_over_time(period.start, period.end, period.bucket() < timedelta(days=1))


def every_step(asked: Asked, found: Sequence[Said]) -> list[tuple[datetime, Said | None]]:
    """Every step of the period, with what was said in it."""
    hourly = asked.period.bucket() < timedelta(days=1)
    width = timedelta(hours=1) if hourly else timedelta(days=1)
    at = asked.period.start.replace(minute=0, second=0, microsecond=0)
    at = at if hourly else at.replace(hour=0)
    by_time, steps = {each.at: each for each in found}, []
    while at < asked.period.end:
        steps.append((at, by_time.get(at)))
        at += width
    return steps


def satisfaction(asked: Asked) -> Panel:
    """Mean rating over time."""
    found = said(asked)
    steps = every_step(asked, found)
    rows = [{"at": each.at, "mean": each.mean, "ratings": each.ratings} for each in found if each.ratings]
    series = {"Mean rating": [each.mean if each else None for _, each in steps]}
    ratings = sum(each.ratings for each in found)
    return Panel(
        "Satisfaction",
        (Column("at", "From", "time", "UTC"), Column("mean", "Mean rating", "number", "1 to 5"),
         Column("ratings", "Ratings", "number")),
        rows,
        _NOTHING_SAID,
        chart=charts.lines([at for at, _ in steps], series, bounds=(1, 5)),
        note=f"{_COUNTED}Mean of {ratings} ratings from 1 to 5; a gap means that nobody rated.",
        topics=("feedback",),
    )  # fmt: skip


def volume(asked: Asked) -> Panel:
    """How much was said, by tone."""
    found = said(asked)
    steps = every_step(asked, found)
    rows = [
        {"at": each.at, "statements": each.statements, "positive": each.positive, "negative": each.negative,
         "other": each.statements - each.positive - each.negative, "held": each.held}
        for each in found
    ]  # fmt: skip
    series = {
        "Positive": [each.positive if each else 0 for _, each in steps],
        "Negative": [each.negative if each else 0 for _, each in steps],
        "Neutral or outcome": [each.statements - each.positive - each.negative if each else 0 for _, each in steps],
    }
    return Panel(
        "Volume",
        (Column("at", "From", "time", "UTC"), Column("statements", "Statements", "number"),
         Column("positive", "Positive", "number"), Column("negative", "Negative", "number"),
         Column("other", "Neutral or outcome", "number"), Column("held", "In quarantine", "number")),
        rows,
        _NOTHING_SAID,
        chart=charts.columns([at for at, _ in steps], series),
        note=f"{_COUNTED}Positive is a rating of 4 or 5, negative of 1 or 2.",
        topics=("feedback",),
    )  # fmt: skip


def topics(asked: Asked) -> Panel:
    """What remarks are about."""
    with asked.application.store.judging(write=False) as tables:
        found = tables.said_by_topic(asked.period.start, asked.period.end)
    rows = [
        {"topic": each.name.replace("_", " "), "statements": each.statements, "mean": each.mean,
         "kinder": each.kinder, "harsher": each.harsher}
        for each in found
    ]  # fmt: skip
    return Panel(
        "Topics",
        (Column("topic", "Topic"), Column("statements", "Remarks", "number"), Column("kinder", "Friendly", "number"),
         Column("harsher", "Unfriendly", "number"), Column("mean", "Mean rating", "number", "1 to 5")),
        rows,
        Empty("No remark with words in this time.", "A remark beside a rating is read for its topic; choose a longer "
              "time if you expect some.", "/matches", "Try a match"),
        chart=charts.bars([str(row["topic"]) for row in rows], [each.statements for each in found]),
        note="Topic and tone are read by a small classifier of labelled remarks; docs/feedback.md says how often it "
        "errs.",
        topics=("feedback",),
        width=5,
    )  # fmt: skip


_NOT_THEN = Empty("Feedback asked for no retraining in this time.", "Choose a longer time to see earlier decisions.")
_NOT_ASKED = Empty(
    "Feedback has not asked for a retraining yet.",
    "A rule speaks above 100 matured events, 30 % negative ratings, or a fall of 0.10; Jobs lets you ask by hand.",
    "/jobs",
    "See jobs",
)


def triggers(asked: Asked) -> Panel:
    """What feedback led to."""
    every, period = asked.application.feedback.loop.triggering.decisions(None, _DECISIONS), asked.period
    found = [each for each in every if period.start <= each.decided_at <= period.end]
    rows = [
        {"at": each.decided_at, "model": engine_label(each.model_name), "cause": each.cause.replace("_", " "),
         "decision": each.decision, "reason": each.reason}
        for each in found
    ]  # fmt: skip
    return Panel(
        "What it led to",
        (Column("at", "When", "time", "UTC"), Column("model", "Model"), Column("decision", "Decision", "state"),
         Column("cause", "Cause"), Column("reason", "Reason")),
        rows,
        _NOT_THEN if every else _NOT_ASKED,
        note="Every decision about retraining with the numbers that led to it, the latest first.",
        topics=("feedback", "jobs"),
        width=7,
        cards=True,
    )  # fmt: skip


def quarantine(asked: Asked) -> Panel:
    """What does not count, and why."""
    state: QuarantineState | None = "held"
    if asked.chosen.get("quarantine") in {"released", "confirmed"}:
        state = asked.chosen["quarantine"]  # type: ignore[assignment]  # one of the two, by the line above
    found = asked.application.feedback.loop.review.quarantined(state, None, _ROWS)
    rows: list[Row] = [
        {"at": each.created_at, "actor": each.actor_id, "cause": each.cause.replace("_", " "), "reason": each.reason,
         "state": each.state, "by": each.decided_by,
         ACTIONS: _judge(each.event_id, each.state) if asked.may_write else ()}
        for each in found
    ]  # fmt: skip
    return Panel(
        "Quarantine",
        (Column("at", "Since", "time", "UTC"), Column("actor", "Who"), Column("cause", "Cause"),
         Column("reason", "Why"), Column("state", "State", "state"), Column("by", "Decided by")),
        rows,
        Empty(f"Nothing is {state} in quarantine.", "Bursts and copied texts come here by themselves and count only "
              "once somebody releases them."),
        note="Released statements count at once; confirmed ones stay out for good.",
        topics=("feedback",),
        width=12,
    )  # fmt: skip


def _judge(event_id: str, state: str) -> list[Action]:
    address = f"/act/quarantine/{event_id}"
    choices = (("Release", "release", "released"), ("Confirm", "confirm", "confirmed"))
    return [
        Action(label, address, f"{label} this statement?", reason=True, values={"decision": decision})
        for label, decision, result in choices
        if state != result
    ]


def letters(asked: Asked) -> Panel:
    """What could not be used."""
    state: DeadLetterState = "open"
    if asked.chosen.get("letters") in {"replayed", "discarded"}:
        state = asked.chosen["letters"]  # type: ignore[assignment]  # one of the two, by the line above
    found = asked.application.store.feedback.dead_letters(state, None, _ROWS)
    rows: list[dict[str, Any]] = [
        {"at": each.last_at, "field": each.field, "value": each.value, "reason": each.reason,
         "body": each.body if len(each.body) <= _SHOWN else f"{each.body[:_SHOWN]}…", "attempts": each.attempts,
         "state": each.state, ACTIONS: _settle(each.letter_id) if asked.may_write and each.state == "open" else ()}
        for each in found
    ]  # fmt: skip
    return Panel(
        "Dead letters",
        (Column("at", "Last sent", "time", "UTC"), Column("field", "Field", "code"), Column("value", "Value"),
         Column("reason", "What to send instead"), Column("body", "What was sent"),
         Column("attempts", "Tries", "number"), Column("state", "State", "state")),
        rows,
        Empty(f"No dead letter is {state}.", "What is sent as feedback and cannot be used is kept here with the "
              "reason."),
        note="Replay takes in what the letter says as it is; send a corrected event through the API to replace it.",
        topics=("feedback",),
        width=12,
    )  # fmt: skip


def _settle(letter_id: str) -> list[Action]:
    address = f"/act/letters/{letter_id}"
    return [
        Action("Replay", address, values={"decision": "replay"}),
        Action("Discard", address, "Discard this letter? It stays listed.", values={"decision": "discard"}),
    ]


def filters(asked: Asked) -> list[Filter]:
    """Which part of what is kept out to see."""
    return [
        Filter("quarantine", "Quarantine", [("released", "Released"), ("confirmed", "Confirmed")], "Held"),
        Filter("letters", "Dead letters", [("replayed", "Replayed"), ("discarded", "Discarded")], "Open"),
    ]


PAGE = Page(
    "feedback",
    "Feedback",
    "How content people are, what they say, and what is kept out.",
    {
        "satisfaction": satisfaction,
        "volume": volume,
        "topics": topics,
        "triggers": triggers,
        "quarantine": quarantine,
        "letters": letters,
    },
    filters,
    whole={"quarantine": "all that were put there", "letters": "all that were sent"},
)
