"""What happened after a match."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import orjson
from anyio.to_thread import run_sync
from fastapi import Body, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from ism.app.http.access import MAY_WRITE, App, api_router, audit, get_caller
from ism.app.http.problems import FieldProblem, RefusalError
from ism.app.http.strict_json import loads
from ism.app.wiring import Application
from ism.domain.errors import InvalidInputError
from ism.domain.feedback import DeadLetter, DeadLetterState, IngestResult, StoredEvent
from ism.feedback.arrival import EVENT_SCHEMA
from ism.feedback.orchestrator import MOST_EVENTS

router = api_router("Feedback")

_MOST_KEY = 120  # characters; an identifier of the store has room for the sender's beside it
_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names the event where it has no event_id: the same key and body are stored once, answered alike.",
    "schema": {"type": "string", "minLength": 1, "maxLength": _MOST_KEY},
}
After = Annotated[str | None, Query(max_length=200, description="Cursor: `after` of the page before.")]
_EVENT: dict[str, Any] = {
    "parameters": [_KEY],
    "requestBody": {"required": True, "content": {"application/json": {"schema": EVENT_SCHEMA}}},
}
_EVENTS: dict[str, Any] = {
    "parameters": [_KEY],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["events"],
                    "additionalProperties": False,
                    "properties": {"events": {"type": "array", "maxItems": MOST_EVENTS, "items": EVENT_SCHEMA}},
                }
            }
        },
    },
}


class FeedbackAnswer(BaseModel):
    """What was stored."""

    feedback_id: str = Field(description="The event's identifier.")


class BatchAnswer(BaseModel):
    """What became of each event, in order."""

    results: list[IngestResult]


class EventPage(BaseModel):
    """Some events in the order in which they were stored."""

    items: list[StoredEvent]
    after: int | None = Field(description="Sequence number behind which to go on; null when there is no more yet.")


class LetterPage(BaseModel):
    """Some dead letters in order of identifier."""

    items: list[DeadLetter]
    after: str | None = Field(description="Cursor of the next page; null on the last one.")


@router.post(
    "/api/feedback", status_code=201, response_model=FeedbackAnswer, dependencies=MAY_WRITE, summary="Tell one event",
    openapi_extra=_EVENT,
)  # fmt: skip
async def tell(request: Request, application: App) -> Response:
    """Store an event; answered when it is on disk.

    The same event again gets the same answer; the header `Idempotent-Replayed` says that it was there already. What
    cannot be used is kept as a dead letter, which the answer names.
    """
    key = _key(request)
    result = await application.feedback.take(await _event(request, application, key), key)
    replayed = {"Idempotent-Replayed": "true"} if result.status == "duplicate" else None
    return _json({"feedback_id": result.event_id}, 201, replayed)


@router.post(
    "/api/feedback/batch", response_model=BatchAnswer, dependencies=MAY_WRITE, summary="Tell many events",
    openapi_extra=_EVENTS,
)  # fmt: skip
async def tell_many(request: Request, application: App) -> Response:
    """Store up to 10,000 events. What cannot be used does not keep the others out; each has its own result."""
    events = _events(loads_quickly(await request.body()))
    results = await application.feedback.ingest_batch(events, _key(request))
    return _json({"results": results})


@router.get("/api/feedback", dependencies=MAY_WRITE, summary="List events")
def list_events(
    application: App,
    after: Annotated[int, Query(ge=0, le=2**62, description="Sequence number behind which to start.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most items to return.")] = 100,
    recommendation_id: Annotated[str | None, Query(max_length=200)] = None,
) -> EventPage:
    """A page of the log, oldest first."""
    items = application.store.feedback.events(after, limit, recommendation_id)
    return EventPage(items=items, after=items[-1].sequence if len(items) == limit else None)


@router.get("/api/feedback/status", summary="Show how feedback fares")
async def status(application: App) -> dict[str, Any]:
    """How much is stored, what waits, and how many dead letters are open."""
    return await application.feedback.get_system_status()


@router.get("/api/feedback/dead-letters", dependencies=MAY_WRITE, summary="List dead letters")
def list_letters(
    application: App,
    state: DeadLetterState | None = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most items to return.")] = 100,
) -> LetterPage:
    """What could not be used, with the reason."""
    items = application.store.feedback.dead_letters(state, after, limit)
    return LetterPage(items=items, after=items[-1].letter_id if len(items) == limit else None)


@router.get("/api/feedback/dead-letters/{letter_id}", dependencies=MAY_WRITE, summary="Show a dead letter")
def show_letter(letter_id: str, application: App) -> DeadLetter:
    """One dead letter."""
    return application.store.feedback.dead_letter(letter_id)


@router.post("/api/feedback/dead-letters/{letter_id}/replay", dependencies=MAY_WRITE, summary="Replay a dead letter")
async def replay_letter(
    letter_id: str,
    application: App,
    request: Request,
    corrected: Annotated[
        dict[str, Any] | None, Body(description="The event as it should have been; the letter's own body if left out.")
    ] = None,
) -> DeadLetter:
    """Take in what it says; where it still cannot be used, it stays open with the new reason."""
    letter = await application.feedback.replay_dead_letter(letter_id, corrected)
    await run_sync(partial(audit, request, "letter.replay", letter_id, corrected=corrected is not None))
    return letter


@router.post("/api/feedback/dead-letters/{letter_id}/discard", dependencies=MAY_WRITE, summary="Discard a dead letter")
async def discard_letter(letter_id: str, application: App, request: Request) -> DeadLetter:
    """Mark it as of no use; it stays listed."""
    letter = await application.feedback.discard_dead_letter(letter_id)
    await run_sync(audit, request, "letter.discard", letter_id)
    return letter


def loads_quickly(body: bytes) -> Any:
    """The value of a JSON text; what the quick reader refuses, the strict one explains.

    Raises:
        RefusalError: as `ism.app.http.strict_json.loads`.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return loads(body)


async def _event(request: Request, application: Application, key: str | None) -> object:
    body = await request.body()
    try:
        return loads_quickly(body)
    except RefusalError as refusal:
        problem = InvalidInputError("body", body[:80].decode(errors="replace"), refusal.detail)
        for entry in refusal.errors[:1]:
            problem = InvalidInputError(entry.field, entry.value, entry.reason)
        letter = await application.feedback.refuse(body, problem, key)
        said = f"{refusal.detail} It is kept as dead letter {letter.letter_id}."
        raise RefusalError(refusal.status_code, said, refusal.errors) from refusal


def _events(body: object) -> list[Any]:
    if not isinstance(body, dict) or list(body) != ["events"] or not isinstance(body["events"], list):
        reason = "Give an object with one field, events: a list."
        raise RefusalError(422, f"The body cannot be used. {reason}", [FieldProblem(field="events", reason=reason)])
    return body["events"]


def _key(request: Request) -> str | None:
    """The sender's idempotency key; with the sender's name, as two senders may choose the same one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _MOST_KEY:
        raise InvalidInputError("Idempotency-Key", key, f"Give 1 to {_MOST_KEY} characters.")
    caller = get_caller(request)
    return f"{caller.key_id or caller.name}:{key}"


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, "application/json")
