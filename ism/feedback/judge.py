"""The consumer of the event log: quarantine, statements, labels and trust, each event's effects exactly once.

A batch is one transaction: what it concludes and how far it has read are committed together, so that a crash at any
moment repeats the whole batch or nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ism.domain.feedback import StoredEvent
from ism.domain.judgement import Quarantined, Statement
from ism.feedback.assess import (
    ANONYMOUS,
    Numbering,
    has_moved,
    judge_actors,
    labels_of,
    moved_actors,
    remark_of,
    statement_of,
)
from ism.feedback.ladder import Floats, Ints
from ism.feedback.limits import FeedbackRules
from ism.feedback.quarantine import suspicious
from ism.feedback.text import Reading, TextReader
from ism.storage import Store

if TYPE_CHECKING:
    from ism.storage.judgement import Judgements

CONSUMER = "judge"
_SWEPT, _TRUSTED = "feedback.swept_until", "feedback.trusted"
BATCH = 1000


@dataclass(frozen=True)
class Judged:
    """What one batch did.

    Attributes:
        events: how many events of the log it handled.
        labels: how many labels it wrote.
        held: how many events went into quarantine.
        actors: how many actors' trust moved.
        sequence: the last event that was handled.
    """

    events: int
    labels: int
    held: int
    actors: int
    sequence: int


class Judge:
    """Reads the log and writes what follows from it.

    Args:
        store: holds both.
        rules: every number.
        clock: says what time it is.
        reader: reads remarks; None leaves sentiment and topic open.
    """

    def __init__(
        self, store: Store, rules: FeedbackRules, clock: Callable[[], datetime], reader: TextReader | None = None
    ) -> None:
        self._store, self._rules, self._clock, self._reader = store, rules, clock, reader

    def judge(self) -> Judged:
        """Handle everything that is in the log now, batch after batch; the sum of what was done."""
        done = self.judge_batch()
        while done.events and (more := self.judge_batch()).events:
            done = Judged(
                done.events + more.events,
                done.labels + more.labels,
                done.held + more.held,
                done.actors + more.actors,
                more.sequence,
            )
        return done

    def judge_batch(self, limit: int = BATCH) -> Judged:
        """Handle up to ``limit`` events; without any, still look for what has become of age.

        Two processes may do this at once: one waits for the other and then goes on behind it.
        """
        events = self._store.feedback.events(self._store.feedback.cursor(CONSUMER), limit)
        readings = self._read(events)  # before the transaction, as it is slow
        with self._store.judging() as tables:
            reached = tables.take_cursor(CONSUMER)
            fresh = [item for item in events if item.sequence > reached]
            now = tables.labels.not_before(self._clock())
            held = self._take_in(tables, fresh, readings, now)
            touched = {item.recommendation_id for item in fresh if item.recommendation_id}
            touched |= self._come_of_age(tables, now)
            moved, theirs = self._trust(tables, fresh[-1].sequence if fresh else reached, now)
            labels = relabel(tables, touched | theirs, now, self._rules)
            last = fresh[-1].sequence if fresh else reached
            tables.move_cursor(CONSUMER, last)
        return Judged(len(fresh), labels, held, moved, last)

    def _read(self, events: Sequence[StoredEvent]) -> dict[str, Reading]:
        remarks = {item.event.event_id: text for item in events if (text := remark_of(item))}
        if self._reader is None or not remarks:
            return {}
        return dict(zip(remarks, self._reader.read(list(remarks.values())), strict=True))

    def _take_in(
        self, tables: Judgements, events: Sequence[StoredEvent], readings: dict[str, Reading], now: datetime
    ) -> int:
        """Write the statements of events, in quarantine where they must be."""
        shown = tables.labels.exposures({item.recommendation_id for item in events if item.recommendation_id})
        said = [
            statement
            for item in events
            if (
                statement := statement_of(
                    item, shown.get(item.recommendation_id or ""), readings.get(item.event.event_id)
                )
            )
        ]
        entries = self._suspects(tables, said, now)
        tables.labels.add_statements([replace(item, counted=item.event_id not in entries) for item in said])
        tables.actors.hold(list(entries.values()))
        return len(entries)

    def _suspects(self, tables: Judgements, said: Sequence[Statement], now: datetime) -> dict[str, Quarantined]:
        """Which of some new statements to hold, in the light of those before."""
        if not said:
            return {}
        rules, first = self._rules.quarantine, min(item.recorded_at for item in said)
        named = {item.actor_id for item in said if _may_be_held(item)}
        texts = {item.text_digest for item in said if item.text_digest}
        before = {
            item.sequence: item
            for item in (
                *tables.labels.recent_of(named, _earlier(first, rules.burst_window)),
                *tables.labels.same_text(texts, _earlier(first, rules.copies_window)),
            )
        }
        everything = [*(before[number] for number in sorted(before)), *said]
        actor, text, time = _columns(everything)
        burst, copied, pace, copies = suspicious(actor, text, time, rules)
        entries = {}
        for place in range(len(before), len(everything)):
            if burst[place] or copied[place]:
                entry = _entry(everything[place], bool(burst[place]), int(pace[place]), int(copies[place]), self._rules)
                entries[entry.event_id] = replace(entry, created_at=now)
        return entries

    def _come_of_age(self, tables: Judgements, now: datetime) -> set[str]:
        """Recommendations that have passed the horizon in silence since the last time."""
        until = now - self._rules.horizon
        noted = tables.note(_SWEPT)
        after = datetime.fromisoformat(str(noted)) if noted is not None else until - 20 * self._rules.horizon
        if until <= after:
            return set()
        tables.put_note(_SWEPT, until.isoformat())
        return set(tables.labels.censored_shown(after, until))

    def _trust(self, tables: Judgements, last: int, now: datetime) -> tuple[int, set[str]]:
        """Estimate trust again when it is due; how many actors moved, and which recommendations they spoke about."""
        noted = tables.note(_TRUSTED) or {"sequence": 0, "at": None}
        since = last - int(noted["sequence"])  # type: ignore[index]  # written below
        at = noted["at"]  # type: ignore[index]  # as above
        old = at is None or now - datetime.fromisoformat(at) >= self._rules.trust_age
        if since < self._rules.trust_every and not (since and old):
            return 0, set()
        tables.put_note(_TRUSTED, {"sequence": last, "at": now.isoformat()})
        statements = tables.labels.statements_since(now - self._rules.window)
        before = {item.actor_id: item for item in tables.actors.actors()}
        moved = moved_actors(before, judge_actors(statements, now, self._rules.trust))
        tables.actors.put_actors(moved)
        names = {item.actor_id for item in moved}
        about = {item.recommendation_id for item in statements if item.actor_id in names and item.recommendation_id}
        return len(moved), about


def relabel(tables: Judgements, recommendation_ids: Iterable[str], now: datetime, rules: FeedbackRules) -> int:
    """Write new labels where they have moved; how many."""
    wanted = sorted(recommendation_ids)
    if not wanted:
        return 0
    shown = list(tables.labels.exposures(wanted).values())
    statements = tables.labels.statements_on(wanted)
    standing = tables.actors.standing({item.actor_id for item in statements})
    found = labels_of(shown, tables.labels.outcomes(wanted), statements, standing, now, rules)
    before = tables.labels.latest_labels(wanted)
    moved = [item for item in found if has_moved(before.get(item.recommendation_id), item)]
    tables.labels.append_labels(moved)
    return len(moved)


def _may_be_held(item: Statement) -> bool:
    return item.actor_id != ANONYMOUS and not item.verified


def _columns(statements: Sequence[Statement]) -> tuple[Ints, Ints, Floats]:
    """Actor, text and time of statements; -1 where there is nobody, or nothing, to hold it against."""
    actors, texts = Numbering(), Numbering()
    actor = [actors[item.actor_id] if _may_be_held(item) else -1 for item in statements]
    text = [texts[item.text_digest] if item.text_digest and _may_be_held(item) else -1 for item in statements]
    time = [item.recorded_at.timestamp() for item in statements]
    return np.asarray(actor, np.intp), np.asarray(text, np.intp), np.asarray(time, np.float64)


def _entry(item: Statement, burst: bool, pace: int, copies: int, rules: FeedbackRules) -> Quarantined:
    limits = rules.quarantine
    if burst:
        minutes = limits.burst_window / 60
        cause, numbers = "burst", {"statements": pace, "limit": limits.burst, "minutes": minutes}
        reason = f"{item.actor_id} made {pace} statements within {minutes:g} minutes; {limits.burst} count."
    else:
        days = limits.copies_window / 86_400
        cause, numbers = "duplicate_text", {"copies": copies, "limit": limits.copies, "days": days}
        reason = f"The same text came {copies} times within {days:g} days; {limits.copies} count."
    return Quarantined(item.event_id, cause, reason, dict(numbers), item.actor_id, item.recorded_at)


def _earlier(moment: datetime, seconds: float) -> datetime:
    return moment - timedelta(seconds=seconds)
