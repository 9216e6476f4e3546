"""Which recommendation an event is about, and whether it can be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ism.domain.errors import InvalidInputError
from ism.feedback.arrival import Arrival
from ism.storage.feedback import FeedbackStore

_MOST_REMEMBERED = 200_000  # identifiers with a time: some 40 MB
_ID, _PAIR = "data.recommendation_id", "data.offer_id"


class Joiner:
    """Finds what was shown; for one thread at a time.

    What was logged never changes, so what was found once is remembered.

    Args:
        store: knows what was shown.
        window: how long after being shown something may still happen to a recommendation.
        skew: how far the clocks of senders may lag behind ours.
    """

    def __init__(self, store: FeedbackStore, window: timedelta, skew: timedelta) -> None:
        self._store, self._window, self._skew = store, window, skew
        self._shown: dict[str, datetime] = {}

    def join(self, arrivals: Sequence[Arrival]) -> list[InvalidInputError | None]:
        """Write the recommendation into each event that is about one; for each, why it could not be joined."""
        self._look_up({arrival.event.recommendation_id for arrival in arrivals if arrival.event.recommendation_id})
        return [self._problem(arrival) for arrival in arrivals]

    def _look_up(self, wanted: set[str]) -> None:
        unknown = wanted.difference(self._shown)
        if not unknown:
            return
        found = self._store.shown_at(unknown)
        if len(self._shown) + len(found) > _MOST_REMEMBERED:
            self._shown.clear()
            found = self._store.shown_at(wanted)
        self._shown.update(found)

    def _problem(self, arrival: Arrival) -> InvalidInputError | None:
        event = arrival.event
        if event.recommendation_id is not None:
            shown = self._shown.get(event.recommendation_id)
            if shown is None:
                return InvalidInputError(_ID, event.recommendation_id, "No such recommendation was ever shown.")
            return self._untimely(_ID, event.recommendation_id, shown, event.event_time)
        if arrival.offer_id is None or arrival.receiver_id is None:
            return None
        pair = f"{arrival.offer_id} + {arrival.receiver_id}"
        found = self._store.last_shown(arrival.offer_id, arrival.receiver_id, event.event_time + self._skew)
        if found is None:
            return InvalidInputError(_PAIR, pair, "This receiver was never shown for this offer before event_time.")
        event.recommendation_id, shown = found
        return self._untimely(_PAIR, pair, shown, event.event_time)

    def _untimely(self, field: str, value: str, shown: datetime, happened: datetime) -> InvalidInputError | None:
        if happened + self._skew < shown:
            return InvalidInputError(
                "event_time", happened.isoformat(), f"It lies before the recommendation was shown, {shown:%FT%TZ}."
            )
        if happened - shown > self._window:
            return InvalidInputError(
                field, value, f"It was shown {(happened - shown).days} days before; at most {self._window.days} count."
            )
        return None
