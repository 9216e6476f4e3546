"""Writes what was matched and what was learnt from into tables of a marketplace; each row once, whatever is cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ism.app.marketplace.taking import DATASET
from ism.domain.market import Company

if TYPE_CHECKING:
    from ism.app.marketplace.postgrest import PostgRest, Row
    from ism.app.marketplace.state import Journal
    from ism.domain.feedback import StoredEvent
    from ism.domain.market import Recommendation
    from ism.storage import Store

CONSUMER = "marketplace"  # of the log of feedback
_REQUESTS = 20  # whose matches are read at once
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Writer:
    """Writes to one marketplace.

    Args:
        store: what was matched, and feedback.
        rows: most rows of a request.

    Attributes:
        sent: requests that this process wrote, with their time: they need not be written again.
    """

    store: Store
    rows: int
    sent: dict[str, datetime] = field(default_factory=dict)

    def matches(
        self, table: str, client: PostgRest, journal: Journal, overlap: timedelta, pause: Callable[[], None]
    ) -> int:
        """Write matches that were shown for the marketplace's offers since the last time.

        Args:
            table: its name.
            client: of the marketplace.
            journal: keeps how far it is.
            overlap: by which a request may be logged later than its time says.
            pause: called between requests; raises where it is to end.

        Returns:
            How many rows were sent.
        """
        state, written = journal.state, 0
        reached = datetime.fromisoformat(state.shown_at) if state.shown_at else _START
        begin = max(reached - overlap, _START)  # a request has its time a moment before it is logged
        self.sent = {request: at for request, at in self.sent.items() if at >= begin}
        place = (begin, "")
        while found := self.store.marketplace.shown(DATASET, place, _REQUESTS):
            last = found[-1][0]
            place = (_moment(last), last.request_id)
            fresh = [each for each in found if each[0].request_id not in self.sent]
            rows = self._match_rows([item for each in fresh for item in each])
            for start in range(0, len(rows), self.rows):
                pause()
                client.insert(table, rows[start : start + self.rows], "recommendation_id")
            written += len(rows)
            self.sent.update({each[0].request_id: _moment(each[0]) for each in fresh})
            if place[0] > reached and fresh:
                state.shown_at, state.shown_id = place[0].isoformat(), place[1]
                journal.save()
        return written

    def events(self, table: str, client: PostgRest, pause: Callable[[], None]) -> int:
        """Write feedback that was taken in since the last time; arguments and result as in `matches`."""
        log, written = self.store.feedback, 0
        while found := log.events(log.cursor(CONSUMER), self.rows):
            pause()
            client.insert(table, self._event_rows(found), "event_id")
            log.move_cursor(CONSUMER, found[-1].sequence)
            written += len(found)
        return written

    def _match_rows(self, items: Sequence[Recommendation]) -> list[Row]:
        """Rows of those whose receiver the marketplace can know: a company of its own, or a sector."""
        named = {item.receiver_id for item in items if item.receiver_kind == "company"}
        known = self.store.marketplace.find(Company, named, DATASET)
        return [
            {
                "recommendation_id": item.recommendation_id,
                "request_id": item.request_id,
                "rank": item.rank,
                "offer_id": item.offer.get("offer_id"),
                "company_id": item.offer.get("company_id"),
                "receiver_kind": item.receiver_kind,
                "receiver_id": item.receiver_id,
                "final_score": item.final_score,
                "confidence": item.confidence,
                "engine_scores": item.engine_scores,
                "model_versions": item.model_versions,
                "created_at": _moment(item).isoformat(),
            }
            for item in items
            if item.receiver_kind == "sector" or item.receiver_id in known
        ]

    def _event_rows(self, found: Sequence[StoredEvent]) -> list[Row]:
        shown: dict[str, Recommendation] = {}
        for each in found:
            name = each.recommendation_id
            if name is not None and name not in shown:
                shown[name] = self.store.get_recommendation(name)
        return [_event_row(each, shown.get(each.recommendation_id or "")) for each in found]


def _event_row(stored: StoredEvent, about: Recommendation | None) -> Row:
    event = stored.event
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "source": event.source,
        "data": event.data,
        "event_time": event.event_time.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "metadata": event.metadata,
        "priority": event.priority,
        "recommendation_id": stored.recommendation_id,
        "offer_id": about.offer.get("offer_id") if about is not None else event.data.get("offer_id"),
        "receiver_id": about.receiver_id if about is not None else event.data.get("receiver_id"),
        "company_id": about.offer.get("company_id") if about is not None else None,
    }


def _moment(item: Recommendation) -> datetime:
    return item.created_at or _START  # the store fills it in
