"""The API reference."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ism.app.http.routes.pages.rendering import render
from ism.app.http.views import reference_view

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def reference(request: Request) -> Response:
    """Every route and shape, from the OpenAPI document."""
    return render(request, "reference.html", api=reference_view(request.app.openapi()))


@router.get("/openapi.json")
async def openapi(request: Request) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document
