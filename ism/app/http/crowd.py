"""What happens when more comes than can be worked on: the rest is told at once to come back, and memory stays."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from ism.app.http.guard import is_public
from ism.app.http.problems import problem_response

STREAM = "/api/stream"  # stays open as long as a page does, and costs next to nothing
MATCHES = frozenset({"/api/matches", "/matches"})  # whose answers take longest to compute
_WAIT_S = "1"


class Crowd:
    """Works on so many requests at a time and answers 503 with Retry-After to what comes beyond.

    Health checks and static files are always let in, so that a busy server is not taken for a dead one. Matches have a
    limit of their own as well: they would take every place, and each would wait for all before it.

    Args:
        app: what it protects.
        most: requests at a time.
        most_matches: requests for matches among them.
    """

    def __init__(self, app: ASGIApp, most: int, most_matches: int) -> None:
        self._app, self._most, self._inside = app, most, 0
        self._matches, self._most_matches = 0, most_matches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or is_public(scope["path"]) or scope["path"] == STREAM:
            await self._app(scope, receive, send)
            return
        match = scope["path"] in MATCHES
        if self._inside >= self._most or (match and self._matches >= self._most_matches):
            full = f"{self._most} requests" if self._inside >= self._most else f"{self._most_matches} matches"
            detail = f"{full} are being worked on. Try again in a moment."
            await problem_response(503, detail, headers={"Retry-After": _WAIT_S})(scope, receive, send)
            return
        self._inside += 1
        self._matches += match
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
            self._matches -= match
