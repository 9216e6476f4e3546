"""The main job."""

import anyio
from anyio.to_thread import run_sync

from ism.app.asking import answer
from ism.app.http.access import App, api_router
from ism.app.http.schemas import MatchRequest
from ism.domain.match import MatchResult

router = api_router("Matching")
_MOST_AT_ONCE = 4  # scoring is numpy on all cores; more threads would only share them
_places = anyio.CapacityLimiter(_MOST_AT_ONCE)


@router.post("/api/matches", summary="Rank receivers for an offer")
async def match(question: MatchRequest, application: App) -> MatchResult:
    """Ranked receivers, each with score, reasons, distance and estimates. What is returned is logged.

    Ask with an `offer`, with the `offer_id` of a listing, or with a `seller` and a `buyer`.
    """
    return await run_sync(answer, application, question, limiter=_places)


@router.get("/api/engines", summary="List the engines")
def engines(application: App) -> dict[str, list[dict[str, str]]]:
    """The engines that are weighed, each with its state."""
    return {"engines": application.engines()}
