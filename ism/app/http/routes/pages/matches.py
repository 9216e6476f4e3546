"""Matches: try an offer, see who could use it and why, and say what came of it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ism.app.http import form as forms
from ism.app.http.access import WRITERS, get_application, get_caller, only
from ism.app.http.problems import of_error
from ism.app.http.routes.pages.boards import asked_of
from ism.app.http.routes.pages.rendering import read_form, render
from ism.app.http.views import answer_view
from ism.app.verdict import actor_of, give_verdict, read_verdict
from ism.app.web.views.matches import listed, shown_before
from ism.domain.errors import EngineError, InvalidInputError, IsmError

_TOP = 10

router = APIRouter(include_in_schema=False)


@router.get("/matches")
async def home(request: Request) -> Response:
    """An empty form, one filled from the address, or a list that was shown before."""
    name = request.query_params.get("request")
    if not name:
        return _page(request, form=forms.prefilled(request.query_params), answer=None)
    return await run_sync(_shown_before, request, name)


@router.post("/matches")
async def try_match(request: Request) -> Response:
    """The form's answer."""
    form = forms.read(dict(await read_form(request)))
    if form.offer is None:
        return _page(request, 422, form=form, answer=None)
    try:
        application = get_application(request)
        result = await run_sync(application.match, form.offer, _TOP)
        result = await run_sync(application.narrator.tell, result)
    except (EngineError, InvalidInputError) as error:
        return _page(request, 503, form=form, answer=None, failure=str(error))
    may_tell = get_caller(request).role in WRITERS
    panel = await run_sync(_listed, request, result.request_id)
    return _page(request, form=form, answer=answer_view(result), may_tell=may_tell, **panel)


@router.post("/feedback", dependencies=[Depends(only(*WRITERS))])
async def say(request: Request) -> Response:
    """Record what a person says of a match, and show what that changed."""
    given = {name: value for name, value in (await read_form(request)).items() if isinstance(value, str)}
    form = {name: given.get(name, "")[:200] for name in ("recommendation_id", "place")}
    form["place"] = form["place"] if form["place"].isdecimal() else "0"
    try:
        change = await give_verdict(get_application(request), read_verdict(given), actor_of(get_caller(request)))
    except IsmError as error:
        status, token = of_error(error).status_code, uuid.uuid4().hex
        more: dict[str, Any] = {**form, "failure": str(error), "token": token, "typed": given, "again": ""}
        return render(request, "verdict.html", status, change=None, **more)
    again = urlencode({name: str(value) for name, value in change.offer.items() if name in forms.FIELDS})
    found: dict[str, Any] = {**form, "token": uuid.uuid4().hex, "typed": {}, "again": again, "failure": None}
    return render(request, "verdict.html", change=change, **found)


def _shown_before(request: Request, name: str) -> Response:
    shown = shown_before(get_application(request), name)
    offer = {field: str(value) for field, value in shown[0].offer.items()} if shown else {}
    if "hazardous" in offer:
        offer["hazardous"] = "yes" if shown[0].offer["hazardous"] else "no"
    status = 200 if shown else 404
    return _page(request, status, form=forms.prefilled(offer), answer=None, **_listed(request, name))


def _listed(request: Request, name: str) -> dict[str, Any]:
    """The panel of a list, empty where the log does not hold it, and the query that leads to it."""
    panel = listed(replace(asked_of(request), chosen={"request": name}))
    return {"panel": panel, "draws": bool(panel.rows), "query": f"?{urlencode({'request': name})}"}


def _page(request: Request, status: int = 200, **values: Any) -> Response:
    values = {"failure": None, "panel": None, "draws": False, **values}
    return render(request, "match.html", status, examples=forms.EXAMPLES, **values)
