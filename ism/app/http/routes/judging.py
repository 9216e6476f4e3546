"""What follows from feedback, and what an operator can take back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ism.app.http.access import MAY_WRITE, App, api_router, audit, get_caller
from ism.domain.feedback import RetrainingRequest, RetrainingTrigger
from ism.domain.judgement import ActorTrust, Label, Quarantined, QuarantineState

router = api_router("Feedback")

Limit = Annotated[int, Query(ge=1, le=1000, description="Most items to return.")]
_STATES: dict[str, QuarantineState] = {"release": "released", "confirm": "confirmed", "hold": "held"}


class ReasonIn(BaseModel):
    """Why an operator decides so."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: str = Field(min_length=1, max_length=1000, description="Kept beside the decision.")


class TrustIn(ReasonIn):
    """An operator's word on an actor."""

    trust: float | None = Field(
        ge=0, le=1, allow_inf_nan=False, description="0 not believed, 1 fully; null takes the word back."
    )


class AskIn(ReasonIn):
    """A wish that a model be trained again."""

    model_name: str = Field(min_length=1, max_length=200)


class QuarantinePage(BaseModel):
    """Some events that do not count, in order of identifier."""

    items: list[Quarantined]
    after: str | None = Field(description="Cursor of the next page; null on the last one.")


@router.get("/api/feedback/quarantine", dependencies=MAY_WRITE, summary="List quarantined events")
def list_quarantine(
    application: App,
    state: QuarantineState | None = None,
    after: Annotated[str | None, Query(max_length=200, description="Cursor: `after` of the page before.")] = None,
    limit: Limit = 100,
) -> QuarantinePage:
    """Events that do not count, each with the reason and its numbers."""
    items = application.feedback.loop.review.quarantined(state, after, limit)
    return QuarantinePage(items=items, after=items[-1].event_id if len(items) == limit else None)


@router.post(
    "/api/feedback/quarantine/{event_id}/{decision}", dependencies=MAY_WRITE, summary="Release or confirm an event"
)
def decide_quarantine(
    event_id: str, decision: Literal["release", "confirm", "hold"], why: ReasonIn, request: Request, application: App
) -> Quarantined:
    """Released events count at once, in labels as in triggers; confirmed ones stay out for good."""
    review = application.feedback.loop.review
    return review.decide(event_id, _STATES[decision], get_caller(request).name, why.reason)


@router.get("/api/feedback/trust", dependencies=MAY_WRITE, summary="List actors and their trust")
def list_trust(application: App) -> dict[str, list[ActorTrust]]:
    """How far each actor is believed, and why."""
    return {"actors": application.feedback.loop.review.actors()}


@router.put("/api/feedback/trust/{actor_id:path}", dependencies=MAY_WRITE, summary="Set an actor's trust by hand")
def set_trust(actor_id: str, word: TrustIn, request: Request, application: App) -> ActorTrust:
    """An operator's word goes before the estimate until it is taken back; labels follow at once."""
    return application.feedback.loop.review.set_trust(actor_id, word.trust, get_caller(request).name, word.reason)


@router.get("/api/feedback/labels/{recommendation_id:path}", dependencies=MAY_WRITE, summary="Show a label's history")
def label_history(recommendation_id: str, application: App) -> dict[str, list[Label]]:
    """Every label that a recommendation ever had, the oldest first; none while nothing is known of it."""
    return {"labels": application.feedback.loop.review.label_history(recommendation_id)}


@router.get("/api/feedback/triggers", summary="List trigger decisions")
def list_triggers(
    application: App, model_name: Annotated[str | None, Query(max_length=200)] = None, limit: Limit = 100
) -> dict[str, list[RetrainingTrigger]]:
    """What was decided about retraining, with the numbers, the latest first."""
    return {"triggers": application.feedback.loop.triggering.decisions(model_name, limit)}


@router.post("/api/feedback/triggers", dependencies=MAY_WRITE, summary="Ask for a training")
def ask(wish: AskIn, request: Request, application: App) -> RetrainingTrigger:
    """A wish by hand: it skips the cool-down, not the weekly budget. The answer says what was decided."""
    trigger = application.feedback.loop.triggering.ask(wish.model_name, wish.reason, get_caller(request).name)
    audit(request, "retraining.wish", wish.model_name, decision=trigger.decision, reason=wish.reason)
    return trigger


@router.get("/api/feedback/retraining-requests", summary="List retraining requests")
def list_requests(application: App, limit: Limit = 100) -> dict[str, list[RetrainingRequest]]:
    """Requests that triggers made, the latest first."""
    return {"requests": application.feedback.loop.triggering.requests(limit)}


@router.post("/api/feedback/turn", dependencies=MAY_WRITE, summary="Judge waiting feedback now")
def take_turn(application: App) -> dict[str, Any]:
    """Judge what waits and look at the triggers, without waiting for the next time."""
    turn = application.feedback.loop.turn()
    counts = {name: getattr(turn.judged, name) for name in ("events", "labels", "held", "actors")}
    return {**counts, "decisions": len(turn.decisions), "delivered": turn.delivered, "followed": turn.followed}
