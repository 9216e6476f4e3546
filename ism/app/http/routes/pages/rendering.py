"""Templates, files and forms."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from ism.app.web import words

if TYPE_CHECKING:
    from starlette.datastructures import FormData

_WEB = Path(str(importlib.resources.files("ism.app") / "web"))
_templates = Jinja2Templates(_WEB / "templates")
_templates.env.trim_blocks = _templates.env.lstrip_blocks = True
static = StaticFiles(directory=_WEB / "static")


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page from its template."""
    return _templates.TemplateResponse(request, template, values, status_code=status)


async def read_form(request: Request) -> FormData:
    """A form's fields; files have no place in our forms."""
    return await request.form(max_files=0, max_fields=50)


def sparkline(values: Sequence[float | None]) -> dict[str, str] | None:
    """Paths of a small line in a box of 100 by 28; None where there are fewer than two values."""
    known = [(row, value) for row, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    span = (high - low) or 1.0
    spots = [
        (100 * row / (len(values) - 1), 24 - 20 * (value - low) / span if high > low else 14.0) for row, value in known
    ]
    line = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in spots)
    return {"line": line, "fill": f"{line}L{spots[-1][0]:.2f} 28L{spots[0][0]:.2f} 28Z"}


def _iso(value: datetime | str) -> str:
    return value if isinstance(value, str) else value.isoformat()


_templates.env.filters |= {
    "cell": words.cell,
    "tone": words.tone,
    "iso": _iso,
    "local": lambda time: f"{time.astimezone(UTC):%Y-%m-%dT%H:%M}",
    "clock": lambda time: f"{time.astimezone(UTC):%H:%M:%S}",
    "compact": lambda value: orjson.dumps(value).decode(),
    "sparkline": sparkline,
}
