"""What an operator can see of down-weighting, and take back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ism.domain.audit import Act
from ism.domain.errors import InvalidInputError, NotFoundError
from ism.domain.judgement import ActorTrust, Label, Quarantined, QuarantineState
from ism.feedback.assess import new_influence
from ism.feedback.judge import relabel
from ism.feedback.limits import FeedbackRules
from ism.storage import Store

_MOST = 1000


class Review:
    """Quarantine and trust, for people.

    Args:
        store: holds both.
        rules: every number.
        clock: says what time it is.
    """

    def __init__(self, store: Store, rules: FeedbackRules, clock: Callable[[], datetime]) -> None:
        self._store, self._rules, self._clock = store, rules, clock

    def quarantined(
        self, state: QuarantineState | None = None, after: str | None = None, limit: int = 100
    ) -> list[Quarantined]:
        """Up to ``limit`` (1 to 1,000) entries by event, each with its reason.

        Raises:
            InvalidInputError: the limit is out of range.
        """
        if not 1 <= limit <= _MOST:
            raise InvalidInputError("limit", limit, f"Give a number from 1 to {_MOST}.")
        with self._store.judging(write=False) as tables:
            return tables.actors.quarantined(state, after, limit)

    def decide(self, event_id: str, state: QuarantineState, by: str, reason: str) -> Quarantined:
        """Release an event, so that it counts, or hold or confirm it, so that it does not; labels follow at once.

        Raises:
            NotFoundError: the event was never in quarantine.
        """
        with self._store.judging() as tables:
            now = tables.labels.not_before(self._clock())
            entry = tables.actors.decide(event_id, state, by, reason, now)
            tables.labels.count_again([event_id], state == "released")
            about = {item.recommendation_id for item in tables.labels.statements_of([event_id])}
            relabel(tables, {item for item in about if item}, now, self._rules)
            tables.tell(Act(by, f"quarantine.{state}", event_id, {"reason": reason}))
            return entry

    def actors(self) -> list[ActorTrust]:
        """Everybody who was judged, by identifier, with the reasons."""
        with self._store.judging(write=False) as tables:
            return tables.actors.actors()

    def set_trust(self, actor_id: str, trust: float | None, by: str, reason: str) -> ActorTrust:
        """Put an operator's word in the place of the estimate, or take it back with None; labels follow at once.

        Raises:
            InvalidInputError: the trust is not in 0..1.
            NotFoundError: nobody of that name has said anything.
        """
        if trust is not None and not 0.0 <= trust <= 1.0:
            raise InvalidInputError("trust", trust, "Give a number from 0 (not believed) to 1 (fully believed).")
        with self._store.judging() as tables:
            now = tables.labels.not_before(self._clock())
            said = tables.labels.recent_of([actor_id], datetime.min.replace(tzinfo=now.tzinfo))
            known = tables.actors.actor(actor_id)
            if known is None and not said:
                raise NotFoundError("actor", actor_id)
            if known is None:
                start, home = new_influence(self._rules.trust), said[-1].company_id
                known = ActorTrust(actor_id, home, start, 0, home, (f"A new actor starts at {start:.2f}.",), now)
            cleared = trust is None
            changed = replace(
                known,
                override_trust=trust,
                override_reason=None if cleared else reason,
                override_by=None if cleared else by,
                override_at=None if cleared else now,
            )
            tables.actors.put_actors([changed])
            about = {item.recommendation_id for item in said if item.recommendation_id}
            relabel(tables, about, now, self._rules)
            tables.tell(Act(by, "trust.change", actor_id, {"trust": trust, "reason": reason}))
            return changed

    def label_history(self, recommendation_id: str) -> list[Label]:
        """Every label that a recommendation ever had, the oldest first."""
        with self._store.judging(write=False) as tables:
            return tables.labels.label_history(recommendation_id)
