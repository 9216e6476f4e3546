"""The pages made of panels, and each panel by itself: as a piece of a page, as CSV and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from ism.app.http.access import ADMINS, WRITERS, get_application, get_caller
from ism.app.http.routes.pages.rendering import render
from ism.app.web import panel as panels
from ism.app.web.page import Asked, Page
from ism.app.web.period import CHOICES, read_period
from ism.app.web.views import PAGES, WITH_PANELS
from ism.domain.errors import InvalidInputError, NotFoundError

router = APIRouter(include_in_schema=False)

_PERIOD = ("range", "from", "to")
_MOST_FILTER = 200  # characters


@router.get("/")
@router.get("/network")
@router.get("/feedback")
@router.get("/models")
@router.get("/jobs")
@router.get("/alerts")
@router.get("/system")
async def board(request: Request) -> Response:
    """A page with all its panels."""
    page = PAGES[request.url.path.strip("/") or "overview"]
    try:
        asked = asked_of(request)
    except InvalidInputError as error:
        said = {"title": "This address cannot be read", "detail": str(error)}
        return render(request, "problem.html", 422, **said, back=page.path, back_label=f"Back to {page.title}")
    return await run_sync(_draw, request, page, asked)


@router.get("/panels/{name}/{panel}.csv")
async def panel_csv(name: str, panel: str, request: Request) -> Response:
    """A panel's table."""
    made = await run_sync(_page(name).panel(panel), asked_of(request))
    headers = {"Content-Disposition": f'attachment; filename="{name}-{panel}.csv"'}
    return Response(panels.as_csv(made), headers=headers, media_type="text/csv; charset=utf-8")


@router.get("/panels/{name}/{panel}.json")
async def panel_json(name: str, panel: str, request: Request) -> Response:
    """The same with units and definitions."""
    made = await run_sync(_page(name).panel(panel), asked_of(request))
    headers = {"Content-Disposition": f'attachment; filename="{name}-{panel}.json"'}
    return JSONResponse(panels.as_json(made), headers=headers)


@router.get("/panels/{name}/{panel}")
async def panel_piece(name: str, panel: str, request: Request) -> Response:
    """A panel as it stands on its page."""
    page = _page(name)
    made = await run_sync(page.panel(panel), asked_of(request))
    return render(request, "panel.html", page=page, name=panel, panel=made, query=_query(request))


def _draw(request: Request, page: Page, asked: Asked) -> Response:
    values: dict[str, Any] = {
        "page": page,
        "asked": asked,
        "panels": {name: make(asked) for name, make in page.panels.items()},
        "filters": page.filters(asked),
        "chosen": bool(asked.chosen),
        "ranges": CHOICES,
        "now": datetime.now(UTC),
        "query": _query(request),
        "done": request.query_params.get("done", "")[:_MOST_FILTER],
    }
    return render(request, "page.html", **values)


def asked_of(request: Request) -> Asked:
    """What a view works with, from the address and whoever calls.

    Raises:
        InvalidInputError: the address cannot be used; names the parameter.
    """
    given = {name: value for name, value in request.query_params.items() if value and name != "done"}
    too_long = next((name for name, value in given.items() if len(value) > _MOST_FILTER), None)
    if too_long is not None:
        raise InvalidInputError(too_long, given[too_long], f"Give at most {_MOST_FILTER} characters.")
    role = get_caller(request).role
    return Asked(
        get_application(request),
        request.app.state.flows,
        read_period(given, datetime.now(UTC)),
        {name: value for name, value in given.items() if name not in _PERIOD},
        may_write=role in WRITERS,
        may_manage=role in ADMINS,
    )


def _query(request: Request) -> str:
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "done"]
    return f"?{urlencode(given)}" if given else ""


def _page(name: str) -> Page:
    if name not in WITH_PANELS:
        raise NotFoundError("page", name)
    return WITH_PANELS[name]
