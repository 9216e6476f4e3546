"""The web page: try a match by hand; sign in and out; the API reference."""

from __future__ import annotations

import importlib.resources
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from ism.app.auth import SESSION_SECONDS, Caller
from ism.app.http import form as forms
from ism.app.http.access import WRITERS, get_application, get_caller, only
from ism.app.http.guard import cookie_name, same_origin, session_cookie
from ism.app.http.problems import RefusalError, of_error
from ism.app.http.views import answer_view, reference_view
from ism.app.verdict import actor_of, give_verdict, read_verdict
from ism.domain.errors import EngineError, InvalidInputError, IsmError

if TYPE_CHECKING:
    from starlette.datastructures import FormData

_WEB = Path(str(importlib.resources.files("ism.app") / "web"))
_TOP = 10
_templates = Jinja2Templates(_WEB / "templates")

router = APIRouter(include_in_schema=False)
static = StaticFiles(directory=_WEB / "static")


@router.get("/")
async def home(request: Request) -> Response:
    """An empty form, or one filled from the address."""
    return _page(request, "match.html", form=forms.prefilled(request.query_params), answer=None)


@router.post("/")
async def try_match(request: Request) -> Response:
    """The form's answer."""
    form = forms.read(dict(await _form(request)))
    if form.offer is None:
        return _page(request, "match.html", 422, form=form, answer=None)
    try:
        result = await run_sync(get_application(request).match, form.offer, _TOP)
    except (EngineError, InvalidInputError) as error:
        return _page(request, "match.html", 503, form=form, answer=None, failure=str(error))
    may_tell = get_caller(request).role in WRITERS
    return _page(request, "match.html", form=form, answer=answer_view(result), may_tell=may_tell)


@router.post("/feedback", dependencies=[Depends(only(*WRITERS))])
async def say(request: Request) -> Response:
    """Record what a person says of a match, and show what that changed."""
    given = {name: value for name, value in (await _form(request)).items() if isinstance(value, str)}
    form = {name: given.get(name, "")[:200] for name in ("recommendation_id", "place")}
    form["place"] = form["place"] if form["place"].isdecimal() else "0"
    try:
        change = await give_verdict(get_application(request), read_verdict(given), actor_of(get_caller(request)))
    except IsmError as error:
        status, token = of_error(error).status_code, uuid.uuid4().hex
        more: dict[str, Any] = {**form, "failure": str(error), "token": token, "typed": given, "again": ""}
        return _page(request, "verdict.html", status, change=None, **more)
    again = urlencode({name: str(value) for name, value in change.offer.items() if name in forms.FIELDS})
    found: dict[str, Any] = {**form, "token": uuid.uuid4().hex, "typed": {}, "again": again}
    return _page(request, "verdict.html", change=change, **found)


@router.get("/docs")
async def reference(request: Request) -> Response:
    """Every route and shape, from the OpenAPI document."""
    return _page(request, "reference.html", api=reference_view(request.app.openapi()))


@router.get("/openapi.json")
async def openapi(request: Request) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document


@router.get("/sign-in")
async def sign_in(request: Request, token: str | None = None) -> Response:
    """The link's way in, or a form that takes a key."""
    if token is None:
        return _page(request, "sign_in.html", wrong=None)
    caller = get_application(request).auth.check_link(token)
    if caller is None:
        wrong = "This link is no longer valid: it changes with every start of the server. Use a newer link or a key."
        return _page(request, "sign_in.html", 401, wrong=wrong)
    return _signed_in(request, caller)


@router.post("/sign-in")
async def sign_in_by_key(request: Request) -> Response:
    """Open a session for whoever knows a key."""
    if not same_origin(request.headers, request.url.scheme):
        raise RefusalError(403, "This request came from another site. Sign in from the page itself.")
    key = (await _form(request)).get("key", "")
    auth = get_application(request).auth
    caller = await run_sync(auth.check_key, key.strip()) if isinstance(key, str) else None
    if caller is None:
        return _page(request, "sign_in.html", 401, wrong="This key is not known, or was revoked.")
    return _signed_in(request, caller)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    cookie = session_cookie(request.scope)
    if cookie is not None:
        get_application(request).auth.close_session(cookie)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(request.scope), httponly=True, samesite="strict")
    return response


async def _form(request: Request) -> FormData:
    """A form's fields; files have no place in our forms."""
    return await request.form(max_files=0, max_fields=50)


def _signed_in(request: Request, caller: Caller) -> Response:
    response = RedirectResponse("/", 303)
    response.set_cookie(
        cookie_name(request.scope),
        get_application(request).auth.open_session(caller),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    values.setdefault("failure", None)
    return _templates.TemplateResponse(request, template, {"examples": forms.EXAMPLES, **values}, status_code=status)
