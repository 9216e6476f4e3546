"""Tables of a Supabase project through its HTTP API, PostgREST (https://postgrest.org, version 12 and later).

Only the address of the settings is ever called: redirects are not followed, proxies of the environment not used. Each
request ends within a time limit, each answer within a size; what may pass (a lost connection, 429, 5xx) is tried again
a few times. Everything that is sent twice does the same once. The key stands in headers alone, and in no message.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ism.app.supabase import project_url
from ism.domain.errors import ConfigurationError, MarketplaceError

if TYPE_CHECKING:
    import httpx

    from ism.settings import Settings

Row = dict[str, Any]
Filters = Sequence[tuple[str, str]]
MOST_BYTES = 64 * 1024 * 1024  # of one answer
MOST_LISTED = 100  # identifiers in one address, which may have some 8,000 characters
_PAUSES_S = (0.5, 2.0, 5.0)  # before each further try
_LONGEST_PAUSE_S = 10.0
LONGEST_TRIES = 1 + len(_PAUSES_S)
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_COLUMN, _NO_TABLE = frozenset({"42703", "PGRST204"}), frozenset({"42P01", "PGRST205"})
_PUBLIC = "sb_publishable_"
_ROLE = "service_role"
_log = logging.getLogger("ism.marketplace")


class RefusedError(MarketplaceError):
    """PostgREST refused a request.

    Args:
        message: for people.
        status: of HTTP.
        code: its own, or PostgreSQL's.
    """

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def lacks_column(self) -> bool:
        """Whether a column does not exist."""
        return self.code in _NO_COLUMN

    @property
    def lacks_table(self) -> bool:
        """Whether the table does not exist."""
        return self.code in _NO_TABLE


class EndedError(MarketplaceError):
    """Nothing more is asked: this process stops."""


class PostgRest:
    """Reads and writes tables; for one thread at a time.

    Args:
        settings: name the project and its key.
        ending: ends waits between tries, and every further request, once it is set.

    Raises:
        ConfigurationError: the address or the key cannot be used.
    """

    def __init__(self, settings: Settings, ending: threading.Event | None = None) -> None:
        import httpx  # noqa: PLC0415 - only where a marketplace is connected

        self._base = f"{project_url(settings)}/rest/v1"
        key = settings.supabase_service_role_key
        secret = _checked_key(key.get_secret_value() if key is not None else "")
        headers = {"apikey": secret, "Authorization": f"Bearer {secret}", "Accept": "application/json"}
        self._ending = ending or threading.Event()
        self._limit_s = settings.marketplace_request_s
        timeout = httpx.Timeout(self._limit_s, connect=min(self._limit_s, 10.0))
        self._client = httpx.Client(headers=headers, timeout=timeout, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def select(
        self, table: str, columns: Mapping[str, str], filters: Filters = (), order: str | None = None, limit: int = 0
    ) -> list[Row]:
        """Rows of a table.

        Args:
            table: its name.
            columns: name in the result -> column.
            filters: pairs of PostgREST, such as ``("id", "gt.5")``.
            order: such as ``"id.asc"``.
            limit: most rows; a server may return fewer.

        Raises:
            RefusedError: the table or a column does not exist, or the key may not read it.
            MarketplaceError: no answer, or none that can be used.
        """
        told = ",".join(name if name == column else f"{name}:{column}" for name, column in columns.items())
        query = [("select", told), *filters, *([("order", order)] if order else []), ("limit", str(limit))]
        found = self._send("GET", table, query)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise MarketplaceError(f"{table}: the answer is no list of rows. Is SUPABASE_URL the project's address?")
        return cast("list[Row]", found)

    def insert(self, table: str, rows: Sequence[Row], key: str | None = None) -> None:
        """Add rows; those whose ``key`` is there already are left as they are. Errors as in `select`."""
        prefer = "return=minimal" + (",resolution=ignore-duplicates" if key else "")
        self._send("POST", table, [("on_conflict", key)] if key else [], rows, {"Prefer": prefer})

    def _send(
        self, method: str, table: str, query: Filters, body: object = None, headers: Mapping[str, str] | None = None
    ) -> object:
        import httpx  # noqa: PLC0415 - as above

        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        more = {**(headers or {}), **({"Content-Type": "application/json"} if content is not None else {})}
        request = self._client.build_request(
            method, f"{self._base}/{table}", params=list(query), content=content, headers=more
        )
        for pause in (*_PAUSES_S, None):
            if self._ending.is_set():
                raise EndedError("The exchange with the marketplace was ended.")
            wait_s = pause
            try:
                status, answer, after = self._answer(request)
            except httpx.HTTPError as error:
                trouble: MarketplaceError = MarketplaceError(
                    f"{table}: the marketplace does not answer ({type(error).__name__}). Check SUPABASE_URL, the "
                    "project and the network."
                )
            else:
                if 200 <= status < 300:
                    return _read(table, answer)
                trouble = _refusal(table, method, status, answer)
                if status not in _PASSING:
                    raise trouble
                wait_s = pause if pause is None or after is None else after
            if wait_s is None:
                raise trouble
            _log.info("%s Trying again in %g s.", trouble, wait_s)
            self._ending.wait(wait_s)
        raise AssertionError("unreachable")  # the last pause is None

    def _answer(self, request: httpx.Request) -> tuple[int, bytes, float | None]:
        """Status, body and Retry-After (s) of one try, within the limits of time and size."""
        import httpx  # noqa: PLC0415 - as above

        ends, body = time.monotonic() + self._limit_s, b""
        response = self._client.send(request, stream=True)
        try:
            for piece in response.iter_bytes(65_536):
                body += piece
                if len(body) > MOST_BYTES:
                    raise MarketplaceError(
                        f"The marketplace sent more than {MOST_BYTES:,} bytes at once. Lower ISM_MARKETPLACE_PAGE_ROWS."
                    )
                if time.monotonic() > ends:  # httpx limits the wait for each piece only
                    raise httpx.ReadTimeout("The whole answer took too long.", request=request)
        finally:
            response.close()
        told = response.headers.get("Retry-After", "")
        return response.status_code, body, min(float(told), _LONGEST_PAUSE_S) if told.isdecimal() else None


def listed(identifiers: Collection[str]) -> str:
    """A filter for some identifiers, at most `MOST_LISTED`."""
    return f"in.({','.join(map(quoted, identifiers))})"


def quoted(value: str) -> str:
    """A value as it may stand in lists and logical filters."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read(table: str, answer: bytes) -> object:
    if not answer:
        return None
    try:
        return json.loads(answer, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MarketplaceError(f"{table}: the answer is no JSON. Is SUPABASE_URL the project's address?") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _refusal(table: str, method: str, status: int, answer: bytes) -> RefusedError:
    """In our own words: a foreign message may hold what is in a row."""
    try:
        code = json.loads(answer)["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        code = ""
    code = code if isinstance(code, str) and code.isalnum() and len(code) <= 10 else ""
    shown = f"{status}, {code}" if code else str(status)
    remedies = {
        401: "Check SUPABASE_SERVICE_ROLE_KEY: the key is not known there, or has ended.",
        403: "Give the service role's key in SUPABASE_SERVICE_ROLE_KEY, and run deploy/supabase/ism.sql.",
        404: "Run deploy/supabase/ism.sql, or name the right table in ISM_MARKETPLACE_MAPPING.",
    }
    remedy = remedies.get(status, "`ism sync --check` says more.")
    return RefusedError(f"{table}: the marketplace answered {shown} to {method}. {remedy}", status, code)


def _checked_key(secret: str) -> str:
    """The key, if it can be the service role's: with another one, row-level security would hide rows without a word.

    The role in a token is looked at only to find mistakes; it is the project that checks the signature.
    """
    where = "SUPABASE_SERVICE_ROLE_KEY"
    if not secret.isascii() or not secret.isprintable() or " " in secret or len(secret) > 8192:
        raise ConfigurationError(f"{where}: it is no key. Copy it from the project's settings, API keys.")
    if secret.startswith(_PUBLIC) or _claimed_role(secret) not in {None, _ROLE}:
        raise ConfigurationError(f"{where}: this key is public; give the secret one, of the role {_ROLE}.")
    return secret


def _claimed_role(secret: str) -> str | None:
    """The role that a JSON Web Token claims; None where it is no token."""
    parts = secret.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return str(claims["role"])
    except (ValueError, binascii.Error, KeyError, TypeError, RecursionError):
        return None
