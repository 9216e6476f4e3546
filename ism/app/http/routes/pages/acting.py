"""What pages can do: each a form that comes back to its page with what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from ism.app.http.access import ADMINS, MAY_MANAGE, WRITERS, audit, get_application, get_caller, only
from ism.app.http.problems import RefusalError, of_error
from ism.app.http.routes.pages.rendering import read_form, render
from ism.app.wiring import Application
from ism.domain.errors import IsmError

router = APIRouter(include_in_schema=False, prefix="/act")

_MAY_WRITE = [Depends(only(*WRITERS))]
_MAY_SWITCH = [Depends(only("operator", *ADMINS))]
_MOST = 1000  # characters of a reason


@router.post("/quarantine/{event_id}", dependencies=_MAY_WRITE)
async def quarantine(event_id: str, request: Request) -> Response:
    """Release or confirm a statement."""
    states: dict[str, Literal["released", "confirmed"]] = {"release": "released", "confirm": "confirmed"}
    form = await read_texts(request)
    state = states.get(form.get("decision", ""))
    if state is None:
        raise RefusalError(422, "Choose release or confirm.")
    review = get_application(request).feedback.loop.review
    decide = partial(review.decide, event_id, state, get_caller(request).name, _reason(form))
    return await done(request, decide, "/feedback", f"The statement is {state}.")


@router.post("/letters/{letter_id}", dependencies=_MAY_WRITE)
async def letter(letter_id: str, request: Request) -> Response:
    """Replay or discard a dead letter."""
    form = await read_texts(request)
    feedback = get_application(request).feedback
    if form.get("decision") not in {"replay", "discard"}:
        raise RefusalError(422, "Choose replay or discard.")
    try:
        if form["decision"] == "replay":
            found = await feedback.replay_dead_letter(letter_id)
        else:
            found = await feedback.discard_dead_letter(letter_id)
        await run_sync(audit, request, f"letter.{form['decision']}", letter_id)
    except IsmError as error:
        return _failed(request, error, "/feedback")
    return _back("/feedback", f"The letter is {found.state}.")


@router.post("/searches/{search}", dependencies=_MAY_WRITE)
async def search(search: str, request: Request) -> Response:
    """Cancel a search, begin it again, or train with what it found."""
    form = await read_texts(request)
    if form.get("decision") == "cancel":
        return await done(request, partial(_cancel_search, request, search), "/jobs", "It ends; what it found stays.")
    if form.get("decision") == "train":
        return await done(request, partial(_train_with, request, search), "/jobs", "The job is stored.")
    return await done(request, partial(_search_again, request, search), "/jobs", "The search begins again.")


@router.post("/searches", dependencies=_MAY_WRITE)
async def new_search(request: Request) -> Response:
    """Begin a search with the model's presets."""
    model = (await read_texts(request)).get("model", "")
    return await done(request, partial(_begin_search, request, model), "/jobs", "The search begins.")


@router.post("/jobs", dependencies=_MAY_WRITE)
async def new_job(request: Request) -> Response:
    """Ask for a retraining."""
    model = (await read_texts(request)).get("model", "")
    return await done(request, partial(_ask, request, model), "/jobs", "The job is stored.")


@router.post("/jobs/{job}", dependencies=_MAY_WRITE)
async def job(job: str, request: Request) -> Response:
    """Cancel a job, or ask for the same again."""
    form = await read_texts(request)
    if form.get("decision") == "cancel":
        return await done(request, partial(_cancel_job, request, job), "/jobs", "The job ends at its next step.")

    def again() -> None:
        before = get_application(request).retraining.pipeline.job(job)
        _ask(request, before.model_name, before.config)

    return await done(request, again, "/jobs", "The job is asked for again.")


@router.post("/models/{name}", dependencies=MAY_MANAGE)
async def roll_back(name: str, request: Request) -> Response:
    """Return to the champion before."""
    reason = _reason(await read_texts(request))
    application, actor = get_application(request), get_caller(request).name
    back = partial(_roll_back, application, name, actor, reason)
    return await done(request, back, "/models", "The version before answers again.")


@router.post("/fusion", dependencies=_MAY_SWITCH)
async def fusion(request: Request) -> Response:
    """Let another fusion model answer."""
    form = await read_texts(request)
    use = partial(
        get_application(request).fusion.registry.use,
        form.get("model", ""),
        actor=get_caller(request).name,
        reason=_reason(form),
    )
    return await done(request, use, "/models", f"{form.get('model', '')} answers from now on.")


@router.post("/components/matcher", dependencies=MAY_MANAGE)
async def matcher(request: Request) -> Response:
    """Load market and engines again."""
    application = get_application(request)

    def load() -> None:
        application.warm_up()
        application.matcher.refresh()
        audit(request, "component.restart", "matcher")

    return await done(request, load, "/system", "Market and engines are loaded.")


@router.post("/components/{name}", dependencies=MAY_MANAGE)
async def component(name: str, request: Request) -> Response:
    """Have a component begun again."""

    def again() -> None:
        get_application(request).restart(name)
        audit(request, "component.restart", name)

    return await done(request, again, "/system", f"{name} is begun again.")


@router.post("/backups", dependencies=MAY_MANAGE)
async def back_up(request: Request) -> Response:
    """Make a backup now."""
    make = partial(get_application(request).backups.create, get_caller(request).name)
    return await done(request, make, "/system", "The backup is made, and was checked by restoring it.")


def _ask(request: Request, model: str, config: Mapping[str, Any] | None = None) -> None:
    job = get_application(request).retraining.pipeline.request(model, "manual", config)
    audit(request, "retraining.request", job.job_id, model=model)


def _train_with(request: Request, search: str) -> None:
    model = get_application(request).tuning.optimizer.get_config(search).model_name
    _ask(request, model, {"retraining_type": "optimization", "optimization_id": search})


def _cancel_job(request: Request, job: str) -> None:
    cancelled = get_application(request).retraining.pipeline.cancel(job)
    audit(request, "retraining.cancel", job, model=cancelled.model_name)


def _begin_search(request: Request, model: str) -> None:
    begun = get_application(request).tuning.begin({"model_name": model})
    audit(request, "search.begin", begun["optimization_id"], model=model)


def _search_again(request: Request, search: str) -> None:
    begun = get_application(request).tuning.begin_again(search)
    audit(request, "search.begin", begun["optimization_id"], model=begun["model_name"])


def _cancel_search(request: Request, search: str) -> None:
    ended = get_application(request).tuning.cancel(search)
    audit(request, "search.cancel", search, model=ended["model_name"])


def _roll_back(application: Application, name: str, actor: str, reason: str) -> object:
    return application.retraining.rollback(name, actor, reason)


async def read_texts(request: Request) -> dict[str, str]:
    """A form's fields that are texts."""
    return {name: value for name, value in (await read_form(request)).items() if isinstance(value, str)}


def _reason(form: dict[str, str]) -> str:
    reason = form.get("reason", "").strip()[:_MOST]
    if not reason:
        raise RefusalError(422, "Say why; the reason is kept beside the decision.")
    return reason


async def done(request: Request, act: Callable[[], object], page: str, said: str) -> Response:
    """Act in a thread, and come back to the page with what was done, or with why nothing was."""
    try:
        await run_sync(act)
    except IsmError as error:
        return _failed(request, error, page)
    return _back(page, said)


def _failed(request: Request, error: IsmError, page: str) -> Response:
    status = of_error(error).status_code
    label = f"Back to {page.strip('/').capitalize()}"
    return render(
        request, "problem.html", status, title="Nothing was changed", detail=str(error), back=page, back_label=label
    )


def _back(page: str, said: str) -> Response:
    return RedirectResponse(f"{page}?{urlencode({'done': said})}", 303)
