"""What routes ask for: the application, the caller, and the caller's right to act."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.security import APIKeyHeader

from ism.app.auth import Caller
from ism.app.http.problems import MEDIA_TYPE, Problem, RefusalError
from ism.app.http.strict_json import StrictRoute
from ism.app.wiring import Application
from ism.domain.audit import Act
from ism.domain.errors import StorageFullError
from ism.storage import Role

WRITERS: tuple[Role, ...] = ("operator", "admin", "service")
ADMINS: tuple[Role, ...] = ("admin",)
_log = logging.getLogger("ism.http")

# `ism.app.http.guard.Access` checks the key; this tells the OpenAPI document about it.
_KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key; see `ism keys create --help`.")


def api_router(tag: str) -> APIRouter:
    """A router of JSON routes, with the problems that any of them may answer."""
    told = {
        400: "The request cannot be read.",
        401: "No valid key or session.",
        403: "The key's role does not allow this.",
        404: "There is no such thing.",
        409: "It contradicts what is stored.",
        413: "The body is too large.",
        422: "A value cannot be used.",
        429: "Too much at once; Retry-After says how long to wait.",
        503: "The engines are starting, or the store is busy.",
        507: "There is no room left to write; reading goes on.",
    }
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": problem} for status, text in told.items()
    }
    responses[400]["model"] = Problem  # puts the schema among the components, to which the others refer
    return APIRouter(route_class=StrictRoute, tags=[tag], responses=responses, dependencies=[Depends(_KEY)])


def get_application(request: Request) -> Application:
    """The application behind a request."""
    return cast("Application", request.app.state.application)


def get_caller(request: Request) -> Caller:
    """Who sent the request, as `ism.app.http.guard.Access` found."""
    return cast("Caller", request.state.caller)


def audit(request: Request, action: str, target: str, **details: object) -> None:
    """Write into the audit log what the caller has just done; see `note`."""
    note(request, Act(get_caller(request).name, action, target, details))


def note(request: Request, act: Act) -> None:
    """Write something that was done into the audit log; where there is no room, only into the server's log.

    It was done all the same, and whoever is to free space must not be kept from it.
    """
    try:
        get_application(request).store.audit.append(act)
    except StorageFullError:
        _log.error("There is no room to note %s of %s by %s.", act.action, act.target, act.actor)


def only(*roles: Role) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency that refuses callers of other roles."""

    async def check(request: Request) -> None:  # a plain function would cost each request a change of threads
        caller = get_caller(request)
        if caller.role not in roles:
            wanted = " or ".join(roles)
            raise RefusalError(403, f"Your role is {caller.role}; this needs {wanted}. Use another key.")

    return check


async def _application(request: Request) -> Application:
    """`get_application`, without a change of threads."""
    return get_application(request)


App = Annotated[Application, Depends(_application)]
MAY_WRITE = [Depends(only(*WRITERS))]
MAY_MANAGE = [Depends(only(*ADMINS))]
