"""Sign-in with a Supabase project's JSON Web Tokens (RFC 7519), checked against its published keys (RFC 7517).

Only ES256 and RS256 are taken, each with the kind of key that it is for, as "JSON Web Token Best Current Practices"
(RFC 8725) asks; headers that name a key or its address are never followed. The key set is fetched from the project's
address only, at most every `FETCH_PAUSE_S`, and kept for `KEPT_S`.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ism.app.auth import Caller, NoRoleError
from ism.domain.errors import ConfigurationError
from ism.storage import ROLES

if TYPE_CHECKING:
    from jwt import PyJWK

    from ism.settings import Settings
    from ism.storage import Role

KEPT_S = 600.0
STALE_S = 3600.0  # for so long after its last fetch a key set is used while the project does not answer
FETCH_PAUSE_S = 30.0
MOST_BYTES = 64 * 1024
MOST_KEYS = 20
LONGEST_TOKEN = 8192  # characters
_TIMEOUT_S = 5.0
_LEEWAY_S = 30.0
_KINDS = {"ES256": {"kty": "EC", "crv": "P-256"}, "RS256": {"kty": "RSA"}}
_LEAST_RSA_BITS = 2048
_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_ROLE_CLAIM = "ism_role"
_log = logging.getLogger("ism.auth")


@dataclass(slots=True)
class _Keys:
    by_id: dict[str, PyJWK]
    fetched: float  # monotonic seconds


def project_url(settings: Settings) -> str:
    """The project's address without a slash at its end.

    Raises:
        ConfigurationError: it is not https, and not of this machine; or it is no address alone.
    """
    url = (settings.supabase_url or "").rstrip("/")
    try:
        parts = urlsplit(url)
        host, bare = parts.hostname or "", not (parts.username or parts.password or parts.query or parts.fragment)
        _ = parts.port  # raises where it is no number
    except ValueError:
        host, bare = "", False
    if host and bare and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return url
    raise ConfigurationError("SUPABASE_URL: give the project's https address, such as https://abc.supabase.co.")


class SupabaseTokens:
    """Checks tokens of one project; threads may share it.

    Args:
        settings: name the project, the audience, and the role of those who have none.

    Raises:
        ConfigurationError: the address is not https, and not of this machine.
    """

    def __init__(self, settings: Settings) -> None:
        self._issuer = f"{project_url(settings)}/auth/v1"
        self._audience, self._default_role = settings.supabase_audience, settings.supabase_default_role
        self._lock = threading.Lock()
        self._keys = _Keys({}, -STALE_S)
        self._tried = -FETCH_PAUSE_S

    def check(self, token: str) -> Caller | None:
        """Whose token this is; None when it is not genuine, or has ended.

        Raises:
            NoRoleError: it is genuine, and its owner has no role here.
        """
        import jwt  # noqa: PLC0415 - only where tokens are used

        if len(token) > LONGEST_TOKEN:
            return None
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in _KINDS or not isinstance(key_id, str) or "crit" in header:
                return None
            key = self._key(key_id)
            if key is None or key.algorithm_name != algorithm:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):  # also what is no JSON, no text, or too deep
            return None
        return self._caller(claims)

    def _caller(self, claims: dict[str, Any]) -> Caller | None:
        subject = claims["sub"]
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or claims.get("is_anonymous"):
            return None
        told = claims.get("app_metadata")  # only the project's service role can write it; users write user_metadata
        role = told.get(_ROLE_CLAIM) if isinstance(told, dict) else None
        role = role or self._default_role
        if role not in ROLES:
            raise NoRoleError(
                f"You are signed in, but have no role here. Set app_metadata.{_ROLE_CLAIM} of the user to one of "
                f"{', '.join(ROLES)}, or ISM_SUPABASE_DEFAULT_ROLE."
            )
        return Caller(f"supabase:{subject}", cast("Role", role))

    def _key(self, key_id: str) -> PyJWK | None:
        with self._lock:  # one fetch at a time; the others find its result
            now = time.monotonic()
            age = now - self._keys.fetched
            due = age >= KEPT_S or key_id not in self._keys.by_id
            if due and now - self._tried >= FETCH_PAUSE_S:
                self._tried = now
                self._fetch(now)
            return self._keys.by_id.get(key_id) if now - self._keys.fetched < STALE_S else None

    def _fetch(self, now: float) -> None:
        import httpx  # noqa: PLC0415 - only where tokens are used

        url = f"{self._issuer}/.well-known/jwks.json"
        try:
            with (
                httpx.Client(trust_env=False, follow_redirects=False, timeout=_TIMEOUT_S) as client,
                client.stream("GET", url) as answer,
            ):
                answer.raise_for_status()
                body = b""
                for piece in answer.iter_bytes(4096):
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise ValueError("too long")
            self._keys = _Keys(_usable(json.loads(body)["keys"]), now)
        except (httpx.HTTPError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("The key set of SUPABASE_URL cannot be read (%s).", type(error).__name__)


def _usable(keys: list[dict[str, Any]]) -> dict[str, PyJWK]:
    """Public keys that may sign a token, by identifier."""
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415 - only where tokens are used

    found: dict[str, PyJWK] = {}
    for each in keys[:MOST_KEYS]:
        kind = next((alg for alg, want in _KINDS.items() if want.items() <= each.items()), None)
        right = kind is not None and each.get("alg", kind) == kind and each.get("use", "sig") == "sig"
        if not right or not isinstance(each.get("kid"), str) or "d" in each:
            continue
        try:
            key = PyJWK(each, kind)
        except (PyJWTError, ValueError, TypeError):
            continue
        if kind == "RS256" and key.key.key_size < _LEAST_RSA_BITS:
            continue
        found[each["kid"]] = key
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
