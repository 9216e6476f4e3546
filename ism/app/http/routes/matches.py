"""The main job."""

from typing import Annotated

import anyio
from anyio.to_thread import run_sync
from fastapi import Path
from pydantic import BaseModel

from ism.app.asking import answer
from ism.app.engine_scores import EngineScore, score_alone
from ism.app.http.access import MAY_WRITE, App, api_router
from ism.app.http.schemas import EngineQuestion, MatchRequest
from ism.domain.match import MatchResult

Name = Annotated[str, Path(min_length=1, max_length=200)]


class EngineAnswer(BaseModel):
    """What one engine says."""

    engine: str
    scores: list[EngineScore]


router = api_router("Matching")
_MOST_AT_ONCE = 4  # most of it holds the interpreter: with more, everybody else waits; with 2, first answers do
_places = anyio.CapacityLimiter(_MOST_AT_ONCE)


@router.post("/api/matches", summary="Rank receivers for an offer")
async def match(question: MatchRequest, application: App) -> MatchResult:
    """Ranked receivers, each with score, reasons, distance and estimates. What is returned is logged.

    Ask with an `offer`, with the `offer_id` of a listing, or with a `seller` and a `buyer`.
    """
    return await run_sync(answer, application, question, limiter=_places)


@router.post("/api/engines/{name}/score", dependencies=MAY_WRITE, summary="Ask one engine alone")
async def engine_score(name: Name, question: EngineQuestion, application: App) -> EngineAnswer:
    """Receivers by the score of one engine, best first. Nothing is logged, and nothing is fused.

    `GNN_API_KEY`, where it is set, opens this route and no other.
    """

    def ask() -> list[EngineScore]:
        offer = question.offer.value() if question.offer else application.offer_of(question.offer_id or "")
        return score_alone(application, name, offer, question.receivers, question.top)

    return EngineAnswer(engine=name, scores=await run_sync(ask, limiter=_places))


@router.get("/api/engines", summary="List the engines")
def engines(application: App) -> dict[str, list[dict[str, str]]]:
    """The engines that are weighed, each with its state."""
    return {"engines": application.engines()}
