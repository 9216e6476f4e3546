"""From what was sent to what is on disk: read, join, write as one group, tell each sender."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ism.domain.errors import ConflictError, FeedbackRejectedError, InvalidInputError, IsmError
from ism.domain.feedback import DeadLetter, IngestResult, IngestStatus
from ism.feedback.arrival import Arrival, Limits, read, utc_now
from ism.feedback.group_commit import GroupCommit
from ism.feedback.joining import Joiner
from ism.feedback.letters import letter_for

if TYPE_CHECKING:
    from ism.settings import Settings
    from ism.storage.feedback import FeedbackStore

_OVERHEAD = 500  # bytes of an event beside its JSON, roughly
_OTHER_BODY = "this event_id or Idempotency-Key was used for another body. Send a changed event under a new one."


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one item, and the error for a sender who sent it alone."""

    result: IngestResult
    error: IsmError | None = None


@dataclass(slots=True)
class _Bad:
    letter: DeadLetter
    problem: InvalidInputError
    event_id: str | None


class Pipeline:
    """Takes in events; any number of tasks and event loops may call it.

    Args:
        store: where they go.
        settings: limits.
        clock: says what time it is, in UTC.
    """

    def __init__(self, store: FeedbackStore, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._store, self._keep, self._clock = store, settings.feedback_letter_bytes, clock
        skew = timedelta(seconds=settings.feedback_skew_s)
        self._limits = Limits(skew, timedelta(days=settings.feedback_late_days), settings.feedback_event_bytes)
        self._joiner = Joiner(store, timedelta(days=settings.feedback_join_days), skew)
        self.commits: GroupCommit[Arrival | _Bad, Written] = GroupCommit(
            self._write, settings.feedback_queue_bytes, settings.feedback_group_events
        )

    async def take(self, sent: Sequence[object], keys: Sequence[str | None]) -> list[Written]:
        """Store what can be used, keep the rest as dead letters; returns when all of it is on disk.

        Args:
            sent: events as they came.
            keys: the idempotency key of each.

        Raises:
            StorageError: nothing may be taken as stored.
        """
        now = self._clock()
        return await self._written([self._read(body, now, key) for body, key in zip(sent, keys, strict=True)])

    async def probe(self) -> None:
        """Send nothing through queue, thread and transaction; StorageError where something of it fails."""
        await self.commits.written([], 0)

    async def refuse(self, body: bytes, problem: InvalidInputError, key: str | None) -> Written:
        """Keep a body that is no event at all."""
        return (await self._written([_Bad(letter_for(body, problem, self._clock(), self._keep, key), problem, None)]))[
            0
        ]

    async def take_again(self, letter: DeadLetter, sent: object) -> Written:
        """Store what a dead letter should have said; its time, where it has none, is when the letter first came."""
        key = letter.idempotency_key or f"dead-letter:{letter.letter_id}"  # so that it cannot be stored twice
        try:
            arrival = read(sent, letter.first_at, self._limits, key)
            arrival.letter = letter
            items: list[Arrival | _Bad] = [arrival]
        except InvalidInputError as problem:
            items = [_Bad(_tried_again(letter, problem, self._clock()), problem, None)]
        return (await self._written(items))[0]

    def close(self) -> None:
        """Write what waits and stop."""
        self.commits.close()

    async def _written(self, items: list[Arrival | _Bad]) -> list[Written]:
        return await self.commits.written(items, sum(map(_size, items))) if items else []

    def _read(self, body: object, now: datetime, key: str | None) -> Arrival | _Bad:
        try:
            return read(body, now, self._limits, key)
        except InvalidInputError as problem:
            named = body.get("event_id") if isinstance(body, dict) else None
            event_id = named if isinstance(named, str) else None
            return _Bad(letter_for(body, problem, now, self._keep, key), problem, event_id)

    def _write(self, items: list[Arrival | _Bad]) -> list[Written]:
        """One transaction for all; runs in the writer's thread."""
        now = self._clock()
        problems = iter(self._joiner.join([item for item in items if isinstance(item, Arrival)]))
        settled = [self._joined(item, next(problems), now) if isinstance(item, Arrival) else item for item in items]
        events = [item.event for item in settled if isinstance(item, Arrival)]
        letters = [item.letter for item in settled if isinstance(item, _Bad)]
        statuses = iter(self._store.append(events, letters, now))
        return [_refused(item) if isinstance(item, _Bad) else _told(item, next(statuses)) for item in settled]

    def _joined(self, arrival: Arrival, problem: InvalidInputError | None, now: datetime) -> Arrival | _Bad:
        if problem is None:
            return arrival
        if arrival.letter is not None:
            return _Bad(_tried_again(arrival.letter, problem, now), problem, arrival.event.event_id)
        letter = letter_for(arrival.sent, problem, now, self._keep, arrival.event.idempotency_key)
        return _Bad(letter, problem, arrival.event.event_id)


def _tried_again(letter: DeadLetter, problem: InvalidInputError, now: datetime) -> DeadLetter:
    """The letter with its newest reason; the store counts the attempt."""
    newest = letter_for(b"", problem, now, 0)
    return replace(letter, field=newest.field, value=newest.value, reason=newest.reason, last_at=now)


def _told(arrival: Arrival, status: IngestStatus) -> Written:
    event_id = arrival.event.event_id
    if status == "conflict":
        return Written(IngestResult(event_id, status, _OTHER_BODY), ConflictError(f"{event_id}: {_OTHER_BODY}"))
    return Written(IngestResult(event_id, status))


def _refused(bad: _Bad) -> Written:
    letter_id = bad.letter.letter_id
    result = IngestResult(bad.event_id, "rejected", str(bad.problem), letter_id)
    return Written(result, FeedbackRejectedError(bad.problem, letter_id))


def _size(item: Arrival | _Bad) -> int:
    if isinstance(item, Arrival):
        return _OVERHEAD + len(item.event.data) + len(item.event.metadata)
    return _OVERHEAD + len(item.letter.body)
