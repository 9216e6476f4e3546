"""Signing in by the printed link or a key, and out."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from ism.app.attempts import place_of
from ism.app.auth import Caller
from ism.app.http.access import get_application, note
from ism.app.http.guard import cookie_name, same_origin, session_cookie
from ism.app.http.problems import RefusalError
from ism.app.http.routes.pages.rendering import read_form, render
from ism.app.sessions import SESSION_SECONDS
from ism.domain.audit import Act

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in(request: Request, token: str | None = None) -> Response:
    """The link's way in, or a form that takes a key."""
    if token is None:
        return render(request, "sign_in.html", wrong=None)
    auth = get_application(request).auth
    caller = auth.check_link(token)
    if caller is None:
        await run_sync(auth.wrong, place_of(request.scope["client"]))
        wrong = "This link is no longer valid: it changes with every start of the server. Use a newer link or a key."
        return render(request, "sign_in.html", 401, wrong=wrong)
    return await run_sync(_signed_in, request, caller, "link")


@router.post("/sign-in")
async def sign_in_by_key(request: Request) -> Response:
    """Open a session for whoever knows a key."""
    if not same_origin(request.headers, request.url.scheme):
        raise RefusalError(403, "This request came from another site. Sign in from the page itself.")
    key = (await read_form(request)).get("key", "")
    auth = get_application(request).auth
    place = place_of(request.scope["client"])
    caller = await run_sync(auth.check_key, key.strip(), place) if isinstance(key, str) else None
    if caller is None:
        return render(request, "sign_in.html", 401, wrong="This key is not known, or was revoked.")
    return await run_sync(_signed_in, request, caller, "key")


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    cookie = session_cookie(request.scope)
    if cookie is not None:
        await run_sync(get_application(request).auth.close_session, cookie)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(request.scope), httponly=True, samesite="strict")
    return response


def _signed_in(request: Request, caller: Caller, by: str) -> Response:
    told = {"by": by, "from": place_of(request.scope["client"])}
    note(request, Act(caller.name, "sign-in", caller.key_id or "", told))
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
