"""JSON read strictly: UTF-8, finite numbers, storable texts, bounded depth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from ism.app.http.problems import FieldProblem, RefusalError, field_name, shown

MAX_DEPTH = 32

_Path = tuple[str | int, ...]


def loads(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        RefusalError: 400 where it is no JSON in UTF-8 or too deep, 422 where a value in it cannot be used.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RefusalError(400, f"The body is not UTF-8: byte {error.start} is broken. Send UTF-8.") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RefusalError(400, f"The body is not JSON: {error.msg} at {place}.") from error
    except RecursionError as error:
        raise RefusalError(400, f"The body is nested too deeply; at most {MAX_DEPTH} levels are read.") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise RefusalError(422, "The body holds a number that is too long. Send at most 15 digits.") from error
    _check(value)
    return value


def _check(root: Any) -> None:
    """Refuse what JSON or Python allows but no field can hold."""
    waiting: list[tuple[_Path, Any]] = [((), root)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MAX_DEPTH:
            raise RefusalError(400, f"The body is nested too deeply; at most {MAX_DEPTH} levels are read.")
        if isinstance(value, str):
            _check_text(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise _unusable(path, str(value), "Send a finite number, or null where it is not known.")
        elif isinstance(value, list):
            waiting.extend(((*path, number), item) for number, item in enumerate(value))
        elif isinstance(value, dict):
            for key, item in value.items():
                _check_text(path, key)
                waiting.append(((*path, key), item))


def _check_text(path: _Path, text: str) -> None:
    if "\0" in text:
        raise _unusable(path, text, "Remove the NUL character.")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise _unusable(path, text, "Remove the broken character (half of a surrogate pair).")


def _unusable(path: _Path, value: object, reason: str) -> RefusalError:
    name = field_name(path)
    return RefusalError(
        422, f"{name} cannot be used. {reason}", [FieldProblem(field=name, value=shown(value), reason=reason)]
    )


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body, read strictly."""
        return loads(await self.body())


class StrictRoute(APIRoute):
    """A route whose JSON body is read by `loads`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a request that reads strictly."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await inner(_StrictRequest(request.scope, request.receive))

        return handle
