"""Trigger decisions and retraining requests: functions on an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ism.domain.errors import NotFoundError
from ism.domain.feedback import RequestState, RetrainingRequest, RetrainingTrigger
from ism.storage import feedback_schema as tables
from ism.storage.label_sql import as_row


class TriggerTables:
    """Decisions and requests.

    Args:
        connection: an open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_decisions(self, decisions: Sequence[RetrainingTrigger]) -> None:
        """Put decisions on record."""
        if decisions:
            self._connection.execute(insert(tables.trigger), [as_row(item) for item in decisions])

    def decisions(self, model: str | None, limit: int) -> list[RetrainingTrigger]:
        """The latest decisions, the latest first."""
        table = tables.trigger
        query = select(table).order_by(table.c.decided_at.desc(), table.c.trigger_id.desc()).limit(limit)
        if model is not None:
            query = query.where(table.c.model_name == model)
        return [RetrainingTrigger(**row) for row in self._connection.execute(query).mappings()]

    def add_requests(self, requests: Sequence[RetrainingRequest]) -> None:
        """Store requests, to be delivered."""
        if requests:
            self._connection.execute(insert(tables.retraining_request), [as_row(item) for item in requests])

    def open_requests(self, limit: int) -> list[RetrainingRequest]:
        """Requests that nobody has taken, the oldest first."""
        table = tables.retraining_request
        query = select(table).where(table.c.state == "open").order_by(table.c.created_at, table.c.request_id)
        return [RetrainingRequest(**row) for row in self._connection.execute(query.limit(limit)).mappings()]

    def requests(self, limit: int) -> list[RetrainingRequest]:
        """The latest requests, the latest first."""
        table = tables.retraining_request
        query = select(table).order_by(table.c.created_at.desc(), table.c.request_id.desc()).limit(limit)
        return [RetrainingRequest(**row) for row in self._connection.execute(query).mappings()]

    def mark_request(self, request_id: str, state: RequestState, at: datetime) -> RetrainingRequest:
        """Move a request on, never back: one that is finished already stays so. NotFoundError when there is none."""
        table = tables.retraining_request
        here = table.c.request_id == request_id
        values: dict[str, Any] = {"state": state}
        values |= {"delivered_at": at} if state == "delivered" else {"finished_at": at}
        before = here & (table.c.state == "open") if state == "delivered" else here
        self._connection.execute(update(table).where(before).values(values))
        found = self._connection.execute(select(table).where(here)).mappings().one_or_none()
        if found is None:
            raise NotFoundError("retraining request", request_id)
        return RetrainingRequest(**found)
