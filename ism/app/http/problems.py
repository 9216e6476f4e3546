"""Errors as problem documents (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ism.app.attempts import LockedOutError
from ism.domain.errors import (
    ArtifactError,
    BackupError,
    ConflictError,
    EngineError,
    ImportRefusedError,
    InvalidInputError,
    IsmError,
    MarketplaceError,
    NotFoundError,
    StorageError,
    StorageFullError,
)

MEDIA_TYPE = "application/problem+json"
_URN = "urn:ism:problem:"
_SHOWN = 80
_LOCATIONS = {"body", "query", "path", "header"}
_NAMES = {
    400: "bad-request",
    401: "not-signed-in",
    403: "not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "too-large",
    429: "too-many",
    415: "unsupported-media-type",
    422: "invalid-input",
    500: "internal-error",
    503: "not-available",
    507: "no-room",
}

_STATUSES: dict[type[IsmError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    ArtifactError: 409,
    StorageFullError: 507,
}


class FieldProblem(BaseModel):
    """One value that cannot be used."""

    field: str = Field(description="Where it stands, as the sender knows it.")
    value: str | float | int | bool | None = Field(None, description="What was sent, shortened.")
    reason: str = Field(description="Why it cannot be used, and what to send instead.")


class Problem(BaseModel):
    """What went wrong, in the form of RFC 9457."""

    type: str = Field("about:blank", description="Identifies the kind of problem.")
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong here, and what to do.")
    errors: list[FieldProblem] = Field(default=[], description="One entry for each value that cannot be used.")


class RefusalError(HTTPException):
    """A request is refused; turned into a problem document.

    Args:
        status: HTTP status.
        detail: what went wrong and what to do.
        errors: fields that cannot be used.
        headers: to send along.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = list(errors)


def problem_response(
    status: int, detail: str, errors: Sequence[FieldProblem] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """A problem as a response; texts are escaped to ASCII, so that no broken character can spoil it."""
    name = _NAMES.get(status)
    problem = Problem(
        type=f"{_URN}{name}" if name else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=list(errors),
    )
    body = json.dumps(problem.model_dump(), ensure_ascii=True)
    return Response(body, status, dict(headers or {}), MEDIA_TYPE)


def shown(value: object) -> str | float | int | bool | None:
    """A sent value as it can stand in a problem: scalars as they are, all else as shortened text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e15:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def field_name(location: Sequence[str | int]) -> str:
    """``("body", "listings", 0, "ewc")`` as ``listings[0].ewc``."""
    parts = location[1:] if location and location[0] in _LOCATIONS else location
    name = ""
    for part in parts:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += f".{part}" if name else part
    return name or "body"


def of_validation(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Pydantic's errors as ours."""
    return [
        FieldProblem(
            field=field_name(error["loc"]),
            value=None if error["type"] == "missing" else shown(error.get("input")),
            reason="This field is required." if error["type"] == "missing" else f"{error['msg'].rstrip('.')}.",
        )
        for error in errors
    ]


def too_many(detail: str, wait_s: float) -> Response:
    """A refusal of what comes too often, with the seconds to wait."""
    return problem_response(429, detail, headers={"Retry-After": str(max(1, math.ceil(wait_s)))})


def of_error(error: IsmError) -> Response:
    """One of our own errors as a response."""
    if isinstance(error, InvalidInputError):
        entry = FieldProblem(field=error.field, value=shown(error.value), reason=error.remedy)
        return problem_response(422, str(error), [entry])
    if isinstance(error, ImportRefusedError):
        entries = [
            FieldProblem(field=f"row {row}, column {column}", value=value, reason=reason)
            for row, column, value, reason in error.problems
        ]
        return problem_response(422, f"Nothing was imported: {error.total} cells cannot be used.", entries)
    if isinstance(error, LockedOutError):
        return too_many(str(error), error.wait_s)
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return problem_response(status, str(error))
    if isinstance(error, EngineError | StorageError | BackupError | MarketplaceError):
        return problem_response(503, str(error), headers={"Retry-After": "5"})
    return problem_response(500, "The server is set up wrongly; its log says more.")


def install(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):  # only HTTPException is registered for this handler
            raise error
        errors = error.errors if isinstance(error, RefusalError) else ()
        return problem_response(error.status_code, _detail(error, request), errors, error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        errors = of_validation(error.errors()) if isinstance(error, RequestValidationError) else []
        names = ", ".join(dict.fromkeys(entry.field for entry in errors))
        return problem_response(422, f"These values cannot be used: {names}.", errors)

    async def ours(request: Request, error: Exception) -> Response:
        if not isinstance(error, IsmError):  # only IsmError is registered for this handler
            raise error
        return of_error(error)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(IsmError, ours)


def _detail(error: HTTPException, request: Request) -> str:
    if isinstance(error, RefusalError):
        return error.detail
    if error.status_code == 404:
        return "There is nothing at this address; /docs lists what there is."
    if error.status_code == 405:
        return f"{request.method} is not possible here; /docs lists what is."
    return error.detail
