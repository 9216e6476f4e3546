"""What every store promises about feedback; `ism.testing.feedback_checks` tests a store against it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from ism.domain.feedback import DeadLetter, DeadLetterState, IngestStatus, StoredEvent

Shown = tuple[str, datetime]  # a recommendation's identifier, and when it was shown


@dataclass(slots=True)
class NewEvent:
    """A checked event on its way into the log.

    Attributes:
        digest: of everything that the sender said; the same for the same body.
        data: a JSON object, written out; no NUL character, no half of a surrogate pair.
        metadata: as ``data``.
        idempotency_key: the sender's, where one was given beside ``event_id``; unique as well.
        recommendation_id: what the event is about; the store does not look whether it was logged.
    """

    event_id: str
    idempotency_key: str | None
    digest: str
    event_type: str
    source: str
    data: str
    metadata: str
    priority: int
    event_time: datetime
    recommendation_id: str | None
    actor_id: str | None
    model_name: str | None


@dataclass(frozen=True, slots=True)
class FeedbackTotals:
    """How much there is: events by type, dead letters by state, and the number of the last event (0 when none)."""

    events: dict[str, int]
    dead_letters: dict[str, int]
    sequence: int


class FeedbackStore(ABC):
    """The log of events, and what could not be taken into it.

    Promises, beside those of `ism.storage.base.Store`:
        Once: of all events with one ``event_id`` or one ``idempotency_key``, whenever and from wherever they come, one
            is stored.
        Order: sequence numbers grow in the order of commits. A reader that has seen a number has seen every smaller
            one that will ever be there; numbers may be left out.
        For good: an event never changes and is never removed.
    """

    @abstractmethod
    def append(
        self, events: Sequence[NewEvent], letters: Sequence[DeadLetter], recorded_at: datetime
    ) -> list[IngestStatus]:
        """Write events and dead letters in one transaction; on disk when it returns.

        Returns:
            For each event ``stored``; or ``duplicate`` when it is there already with the same digest; or ``conflict``
            when its identifier or key is taken by another one, an earlier one of this call included.

        A letter whose ``letter_id`` is there already counts as another attempt of that one: its reason is replaced,
        its state stays.
        """

    @abstractmethod
    def events(self, after: int = 0, limit: int = 1000, recommendation_id: str | None = None) -> list[StoredEvent]:
        """Up to ``limit`` (1 to 10,000) events behind a sequence number, in order; of one recommendation if asked."""

    @abstractmethod
    def event(self, event_id: str) -> StoredEvent:
        """One event; NotFoundError when there is none."""

    @abstractmethod
    def shown_at(self, recommendation_ids: Collection[str]) -> dict[str, datetime]:
        """When each of some recommendations was shown; those that were never logged are left out."""

    @abstractmethod
    def last_shown(self, offer_id: str, receiver_id: str, until: datetime) -> Shown | None:
        """The most recent recommendation of a receiver for a listed offer that was shown by ``until``."""

    @abstractmethod
    def cursor(self, consumer: str) -> int:
        """The last sequence number that a consumer handled; 0 for a new one."""

    @abstractmethod
    def move_cursor(self, consumer: str, sequence: int) -> None:
        """Remember how far a consumer is; ConflictError when it is further already.

        What a consumer writes elsewhere in this database it writes in one transaction with this
        (`ism.storage.feedback_sql.move_cursor`).
        """

    @abstractmethod
    def totals(self) -> FeedbackTotals:
        """How much is stored."""

    @abstractmethod
    def last_sequence(self) -> int:
        """The number of the last event, 0 when there is none; quick, so that it can be asked every second."""

    @abstractmethod
    def dead_letters(
        self, state: DeadLetterState | None = None, after: str | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """Up to ``limit`` (1 to 1,000) dead letters in order of identifier, behind ``after``."""

    @abstractmethod
    def dead_letter(self, letter_id: str) -> DeadLetter:
        """One dead letter; NotFoundError when there is none."""

    @abstractmethod
    def settle_dead_letter(
        self, letter_id: str, state: DeadLetterState, at: datetime, event_id: str | None = None
    ) -> DeadLetter:
        """Mark an open letter as discarded, or as replayed with the event that it became.

        ConflictError when it is not open.
        """
