"""The kinds of `process_ai_request`, by name: each checks what it is given and asks the part that knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from ism.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from ism.app.http.schemas import MatchRequest
    from ism.app.wiring import Application

Json = dict[str, Any]
Answer = Callable[["Application", Mapping[str, Any]], Awaitable[Json]]
_MOST_HOURS = 24 * 400


async def process(application: Application, kind: str, data: Mapping[str, Any]) -> Json:
    """The answer to one request; see `ProductionOrchestrator.process_ai_request`."""
    answer = KINDS.get(kind) if isinstance(kind, str) else None
    if answer is None:
        raise InvalidInputError("request_type", kind, f"Choose one of {', '.join(KINDS)}.")
    if not isinstance(data, Mapping):
        raise InvalidInputError("request_data", data, "Give a mapping of names to values.")
    return await answer(application, data)


async def matching(application: Application, data: Mapping[str, Any]) -> Json:
    """Body and answer of ``POST /api/matches``; waits while the engines start."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - only where something is asked

    from ism.app.asking import answer  # noqa: PLC0415 - as above
    from ism.domain.match import MatchResult  # noqa: PLC0415 - as above

    question = _question(data)
    await asyncio.to_thread(application.warm_up)
    found = await asyncio.to_thread(answer, application, question)
    return cast("Json", TypeAdapter(MatchResult).dump_python(found, mode="json"))


async def analysis(application: Application, data: Mapping[str, Any]) -> Json:
    """One of three questions, by what is given; the state of the whole where it is nothing.

    ``engine_outputs`` [{``engine_name``, ``confidence_score``, ...}]: fused, with shares and explanation.
    ``recommendation_id``: what was shown, why, and by which models. ``model_name``, ``hours`` (24): a model over time.
    """
    named = [name for name in _ANALYSES if name in data]
    unknown = sorted(set(data) - set(_ANALYSES) - {"hours"})
    if unknown or len(named) > 1:
        wrong = unknown[0] if unknown else named[1]
        remedy = f"Give one of {', '.join(_ANALYSES)}, or nothing for the state of the whole."
        raise InvalidInputError(wrong, data[wrong], remedy)
    about = _ANALYSES[named[0]] if named else _overview
    return await asyncio.to_thread(about, application, data)


async def optimization(application: Application, data: Mapping[str, Any]) -> Json:
    """The fields of an `OptimizationConfig`: begins a search. Only ``optimization_id``: tells how far one is."""
    if set(data) == {"optimization_id"}:
        name = _text(data, "optimization_id")
        return await asyncio.to_thread(lambda: application.tuning.optimizer.get_optimization(name))
    return await asyncio.to_thread(lambda: application.tuning.begin(dict(data)))


async def feedback(application: Application, data: Mapping[str, Any]) -> Json:
    """A FeedbackEvent, whole or in its short form; ``feedback_id`` once it is on disk."""
    return {"feedback_id": await application.feedback.ingest_feedback(data)}


KINDS: dict[str, Answer] = {
    "matching": matching,
    "analysis": analysis,
    "optimization": optimization,
    "feedback": feedback,
}


def _overview(application: Application, data: Mapping[str, Any]) -> Json:
    if "hours" in data:
        raise InvalidInputError("hours", data["hours"], "Name the model_name that it is about.")
    return dict(application.monitoring.dashboard.overview())


def _fused(application: Application, data: Mapping[str, Any]) -> Json:
    from ism.fusion.outputs import output_of  # noqa: PLC0415 - only where something is fused

    given = data["engine_outputs"]
    if not isinstance(given, list) or not given:
        raise InvalidInputError("engine_outputs", given, "Give a list of outputs, one of each engine.")
    result = asdict(application.fusion.fuse([output_of(values, place) for place, values in enumerate(given)]))
    return {**result, "timestamp": result["timestamp"].isoformat()}


def _shown(application: Application, data: Mapping[str, Any]) -> Json:
    found = application.store.get_recommendation(_text(data, "recommendation_id"))
    made = found.created_at
    return {**asdict(found), "created_at": made.isoformat() if made is not None else None}


def _model(application: Application, data: Mapping[str, Any]) -> Json:
    from ism.monitoring.dashboard import Span  # noqa: PLC0415 - only where it is needed

    name, hours = _text(data, "model_name"), data.get("hours", 24)
    if isinstance(hours, bool) or not isinstance(hours, int) or not 1 <= hours <= _MOST_HOURS:
        raise InvalidInputError("hours", hours, f"Give a whole number from 1 to {_MOST_HOURS:,}.")
    now = datetime.now(UTC)
    span = Span(now - timedelta(hours=hours), now + timedelta(seconds=1))
    return {
        "model_name": name,
        "hours": hours,
        "metrics": list(application.monitoring.dashboard.ai_metrics(name, span)),
    }


_ANALYSES: dict[str, Callable[[Application, Mapping[str, Any]], Json]] = {
    "engine_outputs": _fused,
    "recommendation_id": _shown,
    "model_name": _model,
}


def _question(data: Mapping[str, Any]) -> MatchRequest:
    from pydantic import ValidationError  # noqa: PLC0415 - only where something is asked

    from ism.app.http.schemas import MatchRequest  # noqa: PLC0415 - as above

    try:
        return MatchRequest.model_validate(dict(data))
    except ValidationError as error:
        raise _first(error) from error


def _first(error: ValidationError) -> InvalidInputError:
    problem = error.errors(include_url=False)[0]
    place = ".".join(map(str, problem["loc"])) or "request_data"
    return InvalidInputError(place, problem.get("input"), f"{problem['msg'].rstrip('.').capitalize()}.")


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(name, value, "Give a name as text.")
    return value
