"""`AIFeedbackOrchestrator`: takes in what happened after a match, as SPEC.md shows."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ism.domain.errors import ConflictError, EngineError, InvalidInputError, StorageUnavailableError
from ism.domain.feedback import DeadLetter, FeedbackEvent, IngestResult, RetrainingTrigger
from ism.feedback.arrival import utc_now
from ism.feedback.pipeline import Pipeline, Written
from ism.settings import Settings
from ism.storage import SharedStore, Store, share_store
from ism.storage.lead import SOLE, Leadership

if TYPE_CHECKING:
    from ism.data.text import TextEncoder
    from ism.feedback.loop import FeedbackLoop

MOST_EVENTS = 10_000
FUSION = "fusion"  # is trained like an engine


class AIFeedbackOrchestrator:
    """Takes in feedback durably and once.

    Any number of tasks, threads and event loops may call it; what they hand in at the same time shares a commit.

    Args:
        store: where feedback goes; the store that the settings name when not given.
        settings: limits; from the environment when not given.
        encoder: turns remarks into vectors; the sentence model that the settings name when not given.
        clock: says what time it is, in UTC.

    Attributes:
        follow: what `loop` hands matured labels to; set it before `loop` is first used.
        is_open: whether anything is taken in; from the settings.
        lead: what `loop` asks before it works by itself; set it before `loop` is first used.

    Raises:
        StorageError: the store cannot be opened; DataFolderInUseError when another process has it.
    """

    def __init__(
        self,
        store: Store | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        settings = settings or Settings()
        share = None
        if store is None:
            share = share_store(settings)
            store = share.store
        self._store = store
        self._settings, self._encoder, self._clock = settings, encoder, clock
        self.follow: Callable[[FeedbackLoop], int] | None = None
        self.lead: Leadership = SOLE
        self._loops: list[FeedbackLoop] = []
        self.is_open = settings.feedback_enabled
        self._pipelines = [Pipeline(self._store.feedback, settings, clock)]
        # Also runs when this is dropped or the program ends without `close`.
        self._closing = weakref.finalize(self, _close, self._loops, self._pipelines, share)

    @cached_property
    def loop(self) -> FeedbackLoop:
        """What follows from feedback: labels, trust, quarantine, triggers."""
        from ism.data.text import CachedEncoder, SentenceModel  # noqa: PLC0415 - numpy only where feedback is judged
        from ism.engines.catalog import ENGINES  # noqa: PLC0415 - as above
        from ism.feedback.loop import FeedbackLoop  # noqa: PLC0415 - as above

        encoder = self._encoder or CachedEncoder(SentenceModel(self._settings.text_model))
        loop = FeedbackLoop(self._store, self._settings, [*ENGINES, FUSION], encoder, self._clock)
        loop.follow, loop.lead = self.follow, self.lead
        self._loops.append(loop)
        return loop

    @property
    def _pipeline(self) -> Pipeline:
        if not self.is_open:
            raise ConflictError("Feedback is switched off. Start without --disable-feedback.")
        return self._pipelines[-1]

    def start(self) -> None:
        """Judge what comes in, in the background, until `stop`; another writer takes the place of one that ended."""
        if not self._pipelines[-1].commits.runs and self._closing.alive:
            self._pipelines.append(Pipeline(self._store.feedback, self._settings, self._clock))
        self.loop.start(self._settings.feedback_turn_s)

    def stop(self, wait_s: float = 10.0) -> None:
        """End what `start` began; events are still taken in."""
        self.loop.stop(wait_s)

    async def probe(self) -> str:
        """Try whether an event would be stored and judged, without one; what was found, for people.

        Raises:
            EngineError: writing or judging has ended, or fails.
            StorageError: the writer cannot write.
            StorageUnavailableError: the database is away; both go on by themselves when it is back.
        """
        if not self._pipelines[-1].commits.runs:
            raise EngineError("The writer of feedback has ended.")
        if not self.loop.runs:
            raise EngineError("The judging of feedback has ended.")
        await self._pipelines[-1].probe()
        failure = self.loop.failure
        if isinstance(failure, StorageUnavailableError):
            raise failure.with_traceback(None)
        if failure is not None:
            raise EngineError(f"Feedback cannot be judged: {failure}")
        return "Events are written and judged." if self.lead.leads else "Events are written; another process judges."

    async def request_retraining(self, model_name: str, reason: str, by: str) -> RetrainingTrigger:
        """Ask for a training by hand: it skips the cool-down, not the weekly budget.

        Raises:
            InvalidInputError: there is no such model.
        """
        return await asyncio.to_thread(self.loop.triggering.ask, model_name, reason, by)

    async def ingest_feedback(
        self, event: Mapping[str, Any] | FeedbackEvent, idempotency_key: str | None = None
    ) -> str:
        """Store one event; returns its ``feedback_id`` when it is on disk.

        Handing in the same event again, with the same ``event_id`` or the same key, returns the same identifier and
        stores nothing.

        Args:
            event: in CONTRACT.md's fields, or in the short form ``{'type', 'source', 'data'}``.
            idempotency_key: names the event where it has no ``event_id``.

        Raises:
            InvalidInputError: names the field and the value; the event is kept as a dead letter.
            ConflictError: the identifier or key was used for another event.
            StorageError: it was not stored, or that is not known: hand it in again.

        Example:
            >>> orchestrator = AIFeedbackOrchestrator()  # doctest: +SKIP
            >>> await orchestrator.ingest_feedback(  # doctest: +SKIP
            ...     {"type": "user_feedback", "data": {"model_name": "matching", "rating": 4}}
            ... )
        """
        return stored_id((await self._pipeline.take([event], [idempotency_key]))[0])

    async def take(self, event: object, idempotency_key: str | None = None) -> IngestResult:
        """As `ingest_feedback`, but tells whether the event was new; errors as there."""
        written = (await self._pipeline.take([event], [idempotency_key]))[0]
        stored_id(written)
        return written.result

    async def ingest_batch(
        self, events: Sequence[Mapping[str, Any] | FeedbackEvent], idempotency_key: str | None = None
    ) -> list[IngestResult]:
        """Store up to `MOST_EVENTS` events; what cannot be used does not keep the others out.

        Args:
            events: as for `ingest_feedback`.
            idempotency_key: of the whole; each event that has no ``event_id`` gets one from it and its place.

        Returns:
            What became of each event, in order.

        Raises:
            InvalidInputError: there are too many events.
            StorageError: nothing may be taken as stored: hand in all of it again.
        """
        if len(events) > MOST_EVENTS:
            raise InvalidInputError("events", f"{len(events)} events", f"Give at most {MOST_EVENTS:,} at once.")
        keys = [None if idempotency_key is None else f"{idempotency_key}#{n}" for n in range(len(events))]
        return [written.result for written in await self._pipeline.take(events, keys)]

    async def refuse(self, body: bytes, problem: InvalidInputError, idempotency_key: str | None = None) -> DeadLetter:
        """Keep a body that could not even be read as an event."""
        kept = await self._pipeline.refuse(body, problem, idempotency_key)
        return await self.dead_letter(str(kept.result.letter_id))

    async def dead_letter(self, letter_id: str) -> DeadLetter:
        """One dead letter; NotFoundError when there is none."""
        return await asyncio.to_thread(self._store.feedback.dead_letter, letter_id)

    async def replay_dead_letter(self, letter_id: str, corrected: object = None) -> DeadLetter:
        """Take in what an open dead letter says, or says once corrected.

        Args:
            letter_id: which one.
            corrected: the event as it should have been; the letter's own body when None.

        Raises:
            InvalidInputError: it still cannot be used; the letter stays open with the new reason.
            ConflictError: the letter is not open, or its event contradicts a stored one.
            NotFoundError: there is no such letter.
        """
        letter = await self.dead_letter(letter_id)
        if letter.state != "open":
            raise ConflictError(f"dead letter {letter_id!r} is {letter.state}; only an open one can be replayed.")
        event_id = stored_id(await self._pipeline.take_again(letter, _body(letter) if corrected is None else corrected))
        settle = self._store.feedback.settle_dead_letter
        return await asyncio.to_thread(settle, letter_id, "replayed", self._clock(), event_id)

    async def discard_dead_letter(self, letter_id: str) -> DeadLetter:
        """Mark an open dead letter as of no use; errors as in `replay_dead_letter`."""
        return await asyncio.to_thread(self._store.feedback.settle_dead_letter, letter_id, "discarded", self._clock())

    async def get_system_status(self) -> dict[str, Any]:
        """What is stored, what waits, and how writers share commits.

        Returns:
            ``status`` (``operational``, or ``attention`` while dead letters are open), ``feedback`` {``total``,
            ``by_type``, ``last_sequence``}, ``dead_letters`` {state: count}, ``ingest`` {``waiting_bytes``,
            ``commits``, ``items``} since this process started, ``judged_sequence`` and ``triggers`` {model: numbers,
            budget, last decision} after everything stored was judged, ``store``, ``timestamp`` (ISO 8601).
        """
        await asyncio.to_thread(self.loop.catch_up)
        totals = await asyncio.to_thread(self._store.feedback.totals)
        commits = self._pipelines[-1].commits
        return {
            "status": "attention" if totals.dead_letters.get("open") else "operational",
            "feedback": {
                "total": sum(totals.events.values()),
                "by_type": totals.events,
                "last_sequence": totals.sequence,
            },
            "dead_letters": totals.dead_letters,
            **await asyncio.to_thread(self.loop.status),
            "ingest": {"waiting_bytes": commits.waiting_bytes, "commits": commits.commits, "items": commits.items},
            "store": self._store.location,
            "timestamp": self._clock().isoformat(),
        }

    def close(self) -> None:
        """Write what was handed in, then stop; calling it again does nothing."""
        self._closing()

    def __enter__(self) -> AIFeedbackOrchestrator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stored_id(written: Written) -> str:
    """The identifier of what was stored, or the error that says why it was not."""
    if written.error is not None:
        raise written.error
    return str(written.result.event_id)


def _body(letter: DeadLetter) -> object:
    if not letter.is_whole:
        remedy = "Only its beginning was kept; give the corrected event."
        raise InvalidInputError("body", f"{letter.body_bytes:,} bytes", remedy)
    try:
        return json.loads(letter.body)
    except ValueError as error:
        raise InvalidInputError(
            "body", letter.body[:100], f"It is not JSON ({error}); give the corrected event."
        ) from error


def _close(loops: list[FeedbackLoop], pipelines: list[Pipeline], share: SharedStore | None) -> None:
    for loop in loops:
        loop.close()
    for pipeline in pipelines:
        pipeline.close()
    if share is not None:
        share.close()
