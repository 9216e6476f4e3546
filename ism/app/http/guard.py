"""What surrounds every request: who may call, how much may be sent, which headers go out, and no bare failure."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anyio import move_on_after
from anyio.to_thread import run_sync
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ism.app.attempts import Buckets, LockedOutError, place_of
from ism.app.auth import NoRoleError
from ism.app.http.problems import RefusalError, of_error, problem_response, too_many
from ism.domain.errors import IsmError

if TYPE_CHECKING:
    from ism.app.auth import Caller
    from ism.app.wiring import Application

UPLOAD_PATH = "/api/import"
FEEDBACK_PATHS = frozenset({"/api/feedback", "/api/feedback/batch"})
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/sign-in"})
PUBLIC_FOLDER = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ENGINE_SCORE = re.compile(r"/api/engines/[^/]+/score")
VIEWERS_MAY_POST = frozenset({"/api/matches", "/matches", "/sign-out"})  # nothing else but reading, whatever is added
_FORM_OVERHEAD = 64 * 1024  # boundaries and headers around an uploaded file
_LINGER_SECONDS = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}
_log = logging.getLogger("ism.http")


class Guard:
    """Outermost: adds security headers, and answers what nobody caught with a problem document.

    Args:
        app: what it guards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(MutableHeaders(scope=message), scope)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            _log.info("%s %s: the caller left before everything was sent.", scope["method"], scope["path"])
        except Exception:  # noqa: BLE001 - the edge: callers get a problem document, the log gets the trace
            _log.exception("%s %s failed.", scope["method"], scope["path"])
            if not started:
                response = problem_response(500, "Something went wrong on our side; the server's log says what.")
                await response(scope, receive, guarded)


class Access:
    """Lets in whoever has a key or a session; only `PUBLIC_PATHS` and static files are open.

    Args:
        app: what it protects.
        application: knows keys and sessions.
    """

    def __init__(self, app: ASGIApp, application: Application) -> None:
        self._app, self._application = app, application
        rate = application.settings.caller_requests_per_s
        self._rates = Buckets(2 * rate, rate) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._too_fast(place_of(scope["client"])) if is_public(scope["path"]) else await self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers, place = Headers(scope=scope), place_of(scope["client"])
        by_header = "x-api-key" in headers or _bearer(headers) is not None
        try:
            caller = await self._caller(scope, headers, place)
        except LockedOutError as error:
            return of_error(error)
        except NoRoleError as error:
            return problem_response(403, str(error))
        except IsmError as error:
            return problem_response(503, str(error), headers={"Retry-After": "5"})
        if caller is None:
            return self._too_fast(place) or _not_signed_in(scope, headers, by_header)
        refusal = _not_allowed(scope, headers, caller, by_header)
        if refusal is not None:
            return refusal
        scope.setdefault("state", {})["caller"] = caller
        return self._too_fast(caller.key_id or caller.name)

    async def _caller(self, scope: Scope, headers: Headers, place: str) -> Caller | None:
        """Who a key, a token or a session belongs to, in this order; what comes first decides alone."""
        auth, key, token = self._application.auth, headers.get("x-api-key"), _bearer(headers)
        if key is not None:
            if ENGINE_SCORE.fullmatch(scope["path"]) and (caller := auth.check_engine_key(key, place)) is not None:
                return caller
            return await run_sync(auth.check_key, key, place)
        if token is not None:
            tokens = self._application.tokens
            found = None if tokens is None else await run_sync(tokens.check, token)
            if found is None:
                await run_sync(auth.wrong, place)
            return found
        cookie = session_cookie(scope)
        return None if cookie is None else await run_sync(auth.check_session, cookie)

    def _too_fast(self, who: str) -> Response | None:
        if self._rates is None or not (wait := self._rates.take(who)):
            return None
        return too_many("You send requests faster than this server takes them from one caller. Slow down.", wait)


@dataclass(frozen=True)
class BodySizes:
    """Most bytes of a body.

    Attributes:
        body: of an ordinary one.
        upload: of an uploaded file.
        feedback: of feedback, which comes in batches.
    """

    body: int
    upload: int
    feedback: int

    def of(self, path: str) -> int:
        """The limit at a path."""
        if path == UPLOAD_PATH:
            return self.upload
        return self.feedback if path in FEEDBACK_PATHS else self.body


class BodyLimit:
    """Refuses bodies that are too large, while they arrive.

    Args:
        app: what it protects.
        most: the limits.
    """

    def __init__(self, app: ASGIApp, most: BodySizes) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._most.of(scope["path"])
        most = limit + _FORM_OVERHEAD if scope["path"] == UPLOAD_PATH else limit
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "")
        too_large = announced.isdecimal() and int(announced[:20]) > most
        seen, ended = 0, False

        async def counted() -> Message:
            nonlocal seen, ended, too_large
            message = await receive()
            ended = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > most:
                too_large = True
                raise RefusalError(413, "Too large.")  # ends the reading; the answer is given below
            return message

        async def unless_too_large(message: Message) -> None:
            if not too_large:
                await send(message)

        if not too_large:
            await self._app(scope, counted, unless_too_large)
        if too_large:
            waits = ended or "expect" in headers  # then nothing more comes before the answer
            await _refuse_large(limit, None if waits else receive, send)


def _bearer(headers: Headers) -> str | None:
    """The token of an ``Authorization`` header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def is_public(path: str) -> bool:
    """Whether a path needs neither key nor session."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDER)


def cookie_name(scope: Scope) -> str:
    """Name of the session cookie; with the port that the browser asks: a host's ports share their cookies."""
    with suppress(ValueError):  # a port that is none
        return f"ism_session_{HTTPConnection(scope).url.port or 0}"
    return "ism_session_0"


def session_cookie(scope: Scope) -> str | None:
    """The session's cookie, if there is one."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(cookie_name(scope))


def same_origin(headers: Headers, scheme: str) -> bool:
    """Whether a browser sent this from our own page."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == headers.get("host") and origin.scheme == scheme


def _add_headers(headers: MutableHeaders, scope: Scope) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Referrer-Policy", _referrer_policy(scope))
    if scope["scheme"] == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    # Static files are asked for again each time, cheaply by their tag: after an update no page wears old clothes.
    headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith(PUBLIC_FOLDER) else "no-store")


def _referrer_policy(scope: Scope) -> str:
    """``no-referrer``, but where a browser would then hide the origin of our own forms and send nothing in its place.

    That is plain HTTP on another host than loopback: there ``Sec-Fetch-Site`` is left out.
    """
    connection = HTTPConnection(scope)
    hidden = connection.url.scheme == "http" and connection.url.hostname not in _LOOPBACK
    return "same-origin" if hidden and not scope["path"].startswith("/api/") else "no-referrer"


def _not_allowed(scope: Scope, headers: Headers, caller: Caller, by_header: bool) -> Response | None:
    """Whether a change may be asked for at all; what each role may do is told by `ism.app.http.access.only`."""
    if scope["method"] in SAFE_METHODS:
        return None
    if not by_header and not same_origin(headers, scope["scheme"]):
        return problem_response(403, "This request came from another site. Send it from the page, or with a key.")
    if caller.role == "viewer" and scope["path"] not in VIEWERS_MAY_POST:
        return problem_response(403, "Your role is viewer, which only reads and matches. Use another key.")
    return None


def _not_signed_in(scope: Scope, headers: Headers, wrong_key: bool) -> Response:
    if scope["method"] == "GET" and not wrong_key and "text/html" in headers.get("accept", ""):
        return RedirectResponse("/sign-in", 303)
    said = "This key is not known, or was revoked." if wrong_key else "A key is needed."
    detail = f"{said} Send a valid one in the header X-API-Key, or sign in at /sign-in."
    return problem_response(401, detail, headers={"WWW-Authenticate": 'ApiKey header="X-API-Key"'})


async def _refuse_large(most: int, receive: Receive | None, send: Send) -> None:
    """Answer 413 at once, then throw away what still comes: closing now would reset the connection unread."""
    response = problem_response(
        413, f"At most {most:,} bytes are accepted here. Split it, or raise the limit.", headers={"Connection": "close"}
    )
    start = {"type": "http.response.start", "status": 413, "headers": response.raw_headers}
    await send(start)
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with move_on_after(_LINGER_SECONDS):
        while receive is not None and (await receive()).get("more_body", False):
            pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
