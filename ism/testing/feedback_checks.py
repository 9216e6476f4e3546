"""What the feedback of every store must pass: one check for each promise of `ism.storage.FeedbackStore`.

Run like `ism.testing.store_checks`, each on a fresh, empty store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.feedback import DeadLetter, FeedbackEvent, IngestStatus, StoredEvent
from ism.domain.market import Recommendation
from ism.storage.base import Store
from ism.storage.feedback import FeedbackStore, NewEvent
from ism.testing.store_checks import StoreCheck, expect, expect_refused

NOW = datetime(2025, 3, 30, 1, 59, 59, 123456, tzinfo=UTC)
DATA = {"rating": 4, "feedback": "gute Asche \U0001f3ed 'quoted' \"twice\"", "tonnes": 0.1 + 0.2, "deep": [{"a": None}]}


def new_event(event_id: str, key: str | None = None, **data: object) -> NewEvent:
    """An event as ingest hands it in; its digest follows from ``data``."""
    told = json.dumps(data or DATA)
    digest = hashlib.sha256(told.encode()).hexdigest()
    return NewEvent(event_id, key, digest, "user_feedback", "user", told, "{}", 3, NOW, None, None, "matching")


def letter(letter_id: str, reason: str = "bad") -> DeadLetter:
    """A dead letter that is new."""
    return DeadLetter(letter_id, '{"a": 1}', 8, "0" * 64, "data.rating", "'banana'", reason, "open", 1, NOW, NOW, "k")


def check_event_round_trip(store: Store) -> None:
    """What goes in comes out, its times in UTC."""
    sent = replace(new_event("e"), metadata='{"page": "match"}', recommendation_id="r", actor_id="ä", priority=5)
    expect("a new event is stored", _append(store.feedback, [sent]) == ["stored"])
    found = store.feedback.event("e")
    told = FeedbackEvent("e", "user_feedback", "user", DATA, NOW, NOW, {"page": "match"}, 5)
    expect("an event comes back as it went in", found.event == told)
    about = (found.recommendation_id, found.actor_id, found.model_name)
    expect("what it was joined to comes back", about == ("r", "ä", "matching"))
    expect("it is in the log", store.feedback.events() == [found])
    expect_refused(NotFoundError, "none", lambda: store.feedback.event("none"))


def check_event_once(store: Store) -> None:
    """One event for an identifier and for a key, within a call and across calls."""
    log = store.feedback
    first = [new_event("a"), new_event("a"), new_event("a", rating=1), new_event("b", "k"), new_event("c", "k")]
    expect("within a call", _append(log, first) == ["stored", "duplicate", "conflict", "stored", "conflict"])
    again = [new_event("a", rating=1), new_event("a"), new_event("b", "k"), new_event("d", "k"), new_event("e")]
    expect("across calls", _append(log, again) == ["conflict", "duplicate", "duplicate", "conflict", "stored"])
    expect("each once", [stored.event.event_id for stored in log.events()] == ["a", "b", "e"])
    expect("the first stays", log.event("a").event.data == DATA)


def check_event_order(store: Store) -> None:
    """Numbers grow over calls of any size and from any thread; pages follow each other."""
    log = store.feedback
    parts = [[new_event(f"{part}-{n}") for n in range(size)] for part, size in enumerate((1, 3, 64, 85, 200))]
    with ThreadPoolExecutor(5) as pool:
        statuses = [status for found in pool.map(lambda part: _append(log, part), parts) for status in found]
    expect("all are stored", statuses == ["stored"] * 353)
    pages, after = [], 0
    while page := log.events(after, limit=100):
        pages += page
        after = page[-1].sequence
    numbers = [stored.sequence for stored in pages]
    expect("each is read once, in order", len(pages) == 353 and numbers == sorted(set(numbers)))
    expect("one call's events keep their order", _ids(pages, "3-") == [f"3-{n}" for n in range(85)])
    expect("the last number is told", log.totals().sequence == numbers[-1])
    expect_refused(InvalidInputError, "limit", lambda: log.events(limit=0))


def check_events_of_a_recommendation(store: Store) -> None:
    """The log can be read by what it is about."""
    events = [replace(new_event(f"e{n}"), recommendation_id=f"r{n % 2}") for n in range(4)]
    _append(store.feedback, [*events, new_event("other")])
    found = store.feedback.events(recommendation_id="r1")
    expect("only its events", [stored.event.event_id for stored in found] == ["e1", "e3"])


def check_shown(store: Store) -> None:
    """What was shown is found by its identifier, and by offer and receiver at a time."""
    day = timedelta(days=1)
    for number in range(3):
        store.log_recommendations([_shown(f"r{number}", NOW + number * day)])
    log = store.feedback
    expect("by identifier", log.shown_at(["r1", "none"]) == {"r1": NOW + day})
    expect("nothing asked, nothing found", log.shown_at([]) == {})
    expect("the most recent by then", log.last_shown("ash", "kiln", NOW + 1.5 * day) == ("r1", NOW + day))
    expect("at the very moment", log.last_shown("ash", "kiln", NOW) == ("r0", NOW))
    expect("nothing before", log.last_shown("ash", "kiln", NOW - day) is None)
    expect("of this receiver only", log.last_shown("ash", "mill", NOW + day) is None)
    expect("of this offer only", log.last_shown("slag", "kiln", NOW + day) is None)


def check_cursor(store: Store) -> None:
    """A consumer's place only grows."""
    log = store.feedback
    expect("a new consumer starts at 0", log.cursor("labels") == 0)
    log.move_cursor("labels", 7)
    log.move_cursor("labels", 7)
    log.move_cursor("other", 3)
    expect("each has its own", (log.cursor("labels"), log.cursor("other")) == (7, 3))
    expect_refused(ConflictError, "7", lambda: log.move_cursor("labels", 6))


def check_dead_letters(store: Store) -> None:
    """A letter counts its attempts, is listed by state, and is settled once."""
    log = store.feedback
    log.append([], [letter("b"), letter("a"), letter("b", "worse")], NOW)
    first = log.dead_letter("b")
    expect("the same letter again counts", (first.attempts, first.reason) == (2, "worse"))
    expect("a letter comes back as it went in", log.dead_letter("a") == letter("a"))
    expect("in order", [found.letter_id for found in log.dead_letters()] == ["a", "b"])
    expect("by page", [found.letter_id for found in log.dead_letters(after="a", limit=1)] == ["b"])
    settled = log.settle_dead_letter("a", "replayed", NOW, "event")
    expect("it remembers what it became", (settled.state, settled.event_id) == ("replayed", "event"))
    expect_refused(ConflictError, "replayed", lambda: log.settle_dead_letter("a", "discarded", NOW))
    expect_refused(NotFoundError, "none", lambda: log.settle_dead_letter("none", "discarded", NOW))
    log.append([], [letter("a")], NOW)
    again = log.dead_letter("a")
    expect("what was settled stays so", (again.state, again.attempts) == ("replayed", 2))
    expect("by state", [found.letter_id for found in log.dead_letters("open")] == ["b"])


def check_feedback_atomic(store: Store) -> None:
    """A call that fails leaves neither an event nor a letter."""
    log = store.feedback
    bad = replace(new_event("bad"), event_type="gossip")
    expect_refused(ConflictError, "ism_feedback", lambda: log.append([new_event("good"), bad], [letter("a")], NOW))
    expect("no event", log.events() == [])
    expect("no letter", log.dead_letters() == [])
    expect("no number is lost to readers", _append(log, [new_event("good")]) == ["stored"])


def check_feedback_totals(store: Store) -> None:
    """Totals count what is there."""
    log = store.feedback
    empty = log.totals()
    expect("nothing at first", (empty.events, empty.dead_letters, empty.sequence) == ({}, {}, 0))
    error = replace(new_event("x"), event_type="error")
    log.append([new_event("a"), new_event("b"), error], [letter("l")], NOW)
    found = log.totals()
    expect("by type", found.events == {"user_feedback": 2, "error": 1})
    expect("by state", found.dead_letters == {"open": 1})


FEEDBACK_CHECKS: tuple[StoreCheck, ...] = (
    check_event_round_trip,
    check_event_once,
    check_event_order,
    check_events_of_a_recommendation,
    check_shown,
    check_cursor,
    check_dead_letters,
    check_feedback_atomic,
    check_feedback_totals,
)


def _append(log: FeedbackStore, events: Sequence[NewEvent]) -> list[IngestStatus]:
    return log.append(events, [], NOW)


def _ids(stored: Sequence[StoredEvent], prefix: str) -> list[str]:
    return [item.event.event_id for item in stored if item.event.event_id.startswith(prefix)]


def _shown(name: str, at: datetime) -> Recommendation:
    return Recommendation(
        name, f"q-{name}", 1, "company", "kiln", 0.5, 0.5, 0.5, offer={"offer_id": "ash"}, created_at=at
    )
