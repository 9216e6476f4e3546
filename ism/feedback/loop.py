"""The way from the event log to labels, trust and retraining requests, step by step or by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ism.data.text import TextEncoder
from ism.domain.background import Background
from ism.domain.errors import EngineError, IsmError, LeadLostError
from ism.domain.feedback import RetrainingTrigger
from ism.feedback.evidence import MaturedLabels, matured_labels
from ism.feedback.judge import BATCH, CONSUMER, Judge, Judged
from ism.feedback.limits import rules_from
from ism.feedback.review import Review
from ism.feedback.text import TextReader
from ism.feedback.triggering import Deliver, Triggering
from ism.settings import Settings
from ism.storage import Store
from ism.storage.lead import SOLE, Leadership

_IDLE = 60.0  # seconds; an idle server need not write more often
_REST = 3.0  # times what a batch took; while much comes in, judging must not slow down who hands it in
_log = logging.getLogger("ism")


@dataclass(frozen=True)
class Turn:
    """What one turn did: events judged, decisions put on record, requests handed on, outcomes that were followed."""

    judged: Judged
    decisions: tuple[RetrainingTrigger, ...]
    delivered: int
    followed: int = 0


class FeedbackLoop:
    """Everything that follows from feedback; threads may share it.

    Args:
        store: holds everything.
        settings: every number.
        models: which models can be trained.
        encoder: turns remarks into vectors; None leaves their sentiment and topic open.
        clock: says what time it is, in UTC.

    Attributes:
        rules: the numbers in use.
        judge: quarantine, labels and trust.
        triggering: decisions and requests.
        review: what an operator can see and take back.
        deliver: takes retraining requests; they wait while it is None.
        follow: learns from labels after a turn that wrote some, and after the first one; tells how many were new.
        failure: why the last turn of the thread failed; None where it did not.
        lead: whether this process takes turns by itself and hands requests on, where several share a store.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        models: Sequence[str],
        encoder: TextEncoder | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._clock = store, clock
        self.rules = rules_from(settings)
        self.judge = Judge(store, self.rules, clock, None if encoder is None else TextReader(encoder))
        self.triggering = Triggering(store, self.rules, clock, models)
        self.review = Review(store, self.rules, clock)
        self.deliver: Deliver | None = None
        self.follow: Callable[[FeedbackLoop], int] | None = None
        self.failure: IsmError | None = None
        self.lead: Leadership = SOLE
        self._behind = True  # labels may have been written before this process began
        self._background = Background(self._run, "feedback")
        self._every = 0.0
        self._turning = threading.Lock()
        self._looking = threading.Lock()  # held from the first judgement of a turn until its triggers are looked at

    def turn(self, one_batch: bool = False) -> Turn:
        """Judge what is new, or one batch of it, look at the triggers, hand requests on."""
        with self._turning:
            with self._looking:
                judged = self.judge.judge_batch() if one_batch else self.judge.judge()
                decisions = tuple(self.triggering.evaluate())
            deliver = self.deliver if self.lead.leads else None  # no request is worked off by two
            delivered = self.triggering.deliver(deliver) if deliver is not None else 0
            return Turn(judged, decisions, delivered, self._followed(judged))

    def _followed(self, judged: Judged) -> int:
        self._behind = self._behind or judged.labels > 0
        if self.follow is None or not self._behind:
            return 0
        count = self.follow(self)
        self._behind = False  # only now: what could not be learnt is tried again
        return count

    def catch_up(self, one_batch: bool = False) -> None:
        """Take a turn if events wait to be judged; else wait until one under way has looked at the triggers."""
        if self._waiting():
            self.turn(one_batch)
        else:
            with self._looking:
                pass

    def _waiting(self) -> int:
        """How many events wait to be judged."""
        return self._store.feedback.last_sequence() - self._store.feedback.cursor(CONSUMER)

    def labels(self, since: int = 0, as_of: datetime | None = None) -> MaturedLabels:
        """What learners read; see `ism.feedback.evidence.matured_labels`."""
        return matured_labels(self._store, self.rules, as_of=as_of or self._clock(), since=since)

    def status(self) -> dict[str, Any]:
        """How far judging is, and the state of each model's triggers."""
        return {"judged_sequence": self._store.feedback.cursor(CONSUMER), "triggers": self.triggering.status()}

    def start(self, every: float) -> None:
        """Look every so many seconds, in a thread of its own, whether events wait to be judged, until `stop`."""
        if not self._background.alive:
            self.failure, self._every = None, every
        self._background.start()

    @property
    def runs(self) -> bool:
        """Whether the thread is there."""
        return self._background.alive

    def stop(self, wait: float = 10.0) -> None:
        """End the thread after its turn; waits so many seconds at most. Calling it again does nothing."""
        self._background.stop(wait)

    def close(self, wait: float = 10.0) -> None:
        """End the thread for good."""
        self._background.close(wait)

    def _run(self) -> None:
        every, due = self._every, time.monotonic()
        while not self._background.over.is_set():
            began, rest = time.monotonic(), every
            try:
                with self.lead.term() as mine:
                    if mine and began >= due:
                        self.turn(one_batch=True)  # also without events: horizons pass, and Mondays come
                        due = time.monotonic() + _IDLE
                    elif mine:
                        self.catch_up(one_batch=True)
                if mine and self._waiting() >= BATCH:
                    rest = min(every, _REST * (time.monotonic() - began))
                self.failure = None
            except LeadLostError as error:
                _log.info("Feedback is judged by another process: %s", error)
            except IsmError as error:  # the store may be away; the next turn goes on where this one stopped
                self.failure = error
                _log.warning("Feedback waits to be judged: %s", error)
            except Exception as error:  # noqa: BLE001 - nobody waits for this thread; the log tells
                self.failure = EngineError(f"{type(error).__name__}; the log says more.")
                _log.exception("Feedback could not be judged; the next turn tries again.")
            self._background.over.wait(rest)
