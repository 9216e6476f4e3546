"""Who may call: hashed API keys, sessions of the web page, and the local token of the command line.

A key reads ``ism_<8 hex digits>_<secret>``: the digits find it, argon2 checks it. `ISM_ADMIN_KEY` has no such form; it
is kept under the identifier ``environment-<n>``. A checked key is remembered by its SHA-256, so that only its first use
costs an argon2 run; every `RECHECK` seconds the store is asked whether it has been revoked since. Wrong keys are
counted by the place that they come from. What is guessed at one key keeps nobody out who holds another, or used theirs
before.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ism.app.attempts import Buckets, LockedOutError
from ism.app.sessions import RECHECK, Sessions
from ism.domain.audit import Act
from ism.domain.errors import ConfigurationError, ConflictError, InvalidInputError, IsmError, NotFoundError
from ism.storage import ROLES, SYSTEM, ApiKey, Role, Store

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MOST_ATTEMPTS = 10  # wrong ones that a place has at once
ATTEMPT_SECONDS = 6.0  # after which it has another one
MAX_KEY_LENGTH = 512
_LEAST_LENGTH = 16
_MOST_REMEMBERED = 10_000
_TURN_S = 5.0
_ENVIRONMENT = "environment-"
_log = logging.getLogger("ism.auth")
_KEY = re.compile(r"ism_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request; ``key_id`` is None for the sign-in link and the local token."""

    name: str
    role: Role
    key_id: str | None = None


class NoRoleError(IsmError):
    """Somebody is known, but has no role here."""


class Auth:
    """Checks keys and sessions; every method may be called from any thread.

    Args:
        store: keeps the hashes.
        engine_key: opens the scores of single engines; see `check_engine_key`.

    Attributes:
        local_token: what a command line on this machine presents; new in every process.
        link_token: what the sign-in link carries; new in every process.
    """

    def __init__(self, store: Store, engine_key: str | None = None) -> None:
        self._store = store
        self._engine_key = None if engine_key is None else _digest(engine_key)
        self._weak = len(engine_key or "") < _LEAST_LENGTH
        self._lock = threading.Lock()
        self._hashing = threading.Lock()  # one at a time: each run takes 64 MiB
        self._checking = threading.Lock()
        self._hasher_made: PasswordHasher | None = None
        self._remembered: dict[str, Caller] = {}
        self._active_until: dict[str, float] = {}
        self._attempts = Buckets(MOST_ATTEMPTS, 1 / ATTEMPT_SECONDS)
        self._told = Buckets(1, 1 / 600)  # so that guesses do not fill the audit log
        self._sessions = Sessions(store)
        self.local_token = secrets.token_urlsafe(32)
        self.link_token = secrets.token_urlsafe(24)

    # --- keys ---

    def create(self, name: str, role: Role, actor: str = SYSTEM) -> tuple[ApiKey, str]:
        """A new key; its text is returned this once and never again.

        Raises:
            InvalidInputError: the name is empty or too long, or there is no such role.
        """
        if not name.strip() or len(name) > 200:
            raise InvalidInputError("name", name, "Give a name of 1 to 200 characters.")
        if role not in ROLES:
            raise InvalidInputError("role", role, f"Give one of {', '.join(ROLES)}.")
        identifier = secrets.token_hex(4)
        text = f"ism_{identifier}_{secrets.token_urlsafe(32)}"
        return self._add(identifier, name.strip(), role, text, actor), text

    def rotate(self, key_id: str, actor: str = SYSTEM) -> tuple[ApiKey, str]:
        """A new key of the same name and role in the place of one that ends at once; its text is returned this once.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: it was revoked, or comes from ``ISM_ADMIN_KEY``, which is changed there.
        """
        old = self._store.get_api_key(key_id)
        if old.key_id.startswith(_ENVIRONMENT):
            raise ConflictError("key_id: this key comes from ISM_ADMIN_KEY. Change that, and start again.")
        if old.revoked_at is not None:
            raise ConflictError(f"key_id: {key_id!r} was revoked. Make a new key.")
        made = self.create(old.name, old.role, actor)
        self.revoke(key_id, actor)
        return made

    def ensure_admin(self, configured: str | None) -> str | None:
        """Make sure that someone can get in; returns a key that must be shown now, if one had to be made.

        Args:
            configured: the value of ``ISM_ADMIN_KEY``.

        Raises:
            ConfigurationError: the configured key was revoked.
        """
        if configured is not None:
            self._adopt(configured)
            return None
        if any(key.role == "admin" and key.revoked_at is None for key in self._store.list_api_keys()):
            return None
        return self.create("first admin", "admin")[1]

    def list_keys(self) -> list[ApiKey]:
        """All keys, revoked ones included."""
        return self._store.list_api_keys()

    def revoke(self, key_id: str, actor: str = SYSTEM) -> ApiKey:
        """End a key and the sessions that were opened with it; NotFoundError when there is none."""
        key = self._store.revoke_api_key(key_id, datetime.now(UTC), actor)
        with self._lock:
            self._active_until.pop(key_id, None)
        return key

    def check_key(self, presented: str, place: str = "") -> Caller | None:
        """The caller whose key this is; None when it is nobody's.

        A key that was used since the start is always let in. For others, a place that tried too many wrong ones waits.

        Args:
            presented: the key's text.
            place: where the caller is, see `ism.app.attempts.place_of`.

        Raises:
            LockedOutError: there were too many wrong keys from this place.
        """
        caller = self._check_key(presented, place) if 0 < len(presented) <= MAX_KEY_LENGTH else None
        if caller is None:
            self.wrong(place)
        return caller

    def check_engine_key(self, presented: str, place: str = "") -> Caller | None:
        """Whoever holds ``GNN_API_KEY``; a short one is not looked at from a place that tried too many wrong keys."""
        if self._engine_key is None or (self._weak and self._attempts.wait_s(place)):
            return None
        right = hmac.compare_digest(_digest(presented), self._engine_key)
        return Caller("GNN_API_KEY", "service") if right else None

    def wrong(self, place: str) -> None:
        """Count a wrong key, link or token.

        Raises:
            LockedOutError: there were too many from this place.
        """
        if wait := self._attempts.take(place):
            raise LockedOutError("Too many wrong keys came from your address. Wait, then use the right one.", wait)
        if self._attempts.wait_s(place) and not self._told.take(place):
            _log.warning("Too many wrong keys from %s: it has to wait.", place or "this machine")
            self._store.audit.append(Act("", "sign-in.locked", place))

    def _check_key(self, presented: str, place: str) -> Caller | None:
        digest = _digest(presented)
        if hmac.compare_digest(digest, _digest(self.local_token)):
            return Caller("this machine", "admin")
        known = self._recall(digest)
        if known is None:
            if not self._checking.acquire(timeout=_TURN_S):  # one at a time: each run takes 64 MiB
                raise LockedOutError("Too many new keys are being checked. Try again.", _TURN_S)
            try:
                known = self._recall(digest) or self._check_slowly(presented, place)
            finally:
                self._checking.release()
            if known is not None:
                self._remember(digest, known)
        return known if known is not None and self._still_active(known) else None

    # --- sessions ---

    def open_session(self, caller: Caller) -> str:
        """The cookie value of a new session."""
        return self._sessions.open(caller.name, caller.role, caller.key_id)

    def check_link(self, token: str) -> Caller | None:
        """The administrator who holds the sign-in link's token."""
        right = hmac.compare_digest(_digest(token), _digest(self.link_token))
        return Caller("sign-in link", "admin") if right else None

    def check_session(self, cookie: str) -> Caller | None:
        """The caller whose session this is; None when it, or the key that opened it, has ended."""
        session = self._sessions.find(cookie)
        if session is None:
            return None
        caller = Caller(session.name, session.role, session.key_id)
        return caller if self._still_active(caller) else None

    def close_session(self, cookie: str) -> None:
        """End a session; nothing happens when it has ended already."""
        self._sessions.close(cookie)

    # --- within ---

    @property
    def _hasher(self) -> PasswordHasher:
        if self._hasher_made is None:
            from argon2 import PasswordHasher  # noqa: PLC0415 - only where a key is checked or made

            self._hasher_made = PasswordHasher()
        return self._hasher_made

    def _add(self, identifier: str, name: str, role: Role, text: str, actor: str = SYSTEM) -> ApiKey:
        with self._hashing:
            hashed = self._hasher.hash(text)
        key = ApiKey(identifier, name, role, hashed, datetime.now(UTC))
        self._store.add_api_key(key, actor)
        self._remember(_digest(text), Caller(name, role, identifier))
        return key

    def _adopt(self, configured: str) -> None:
        """Make the configured key the only one from the environment; replicas that start together make it once."""
        try:
            self._adopt_stored(configured)
        except ConflictError:  # another process was faster
            self._adopt_stored(configured)

    def _adopt_stored(self, configured: str) -> None:
        stored = [key for key in self._store.list_api_keys() if key.key_id.startswith(_ENVIRONMENT)]
        for key in stored:
            if self._matches(key, configured):
                if key.revoked_at is not None:
                    raise ConfigurationError(
                        f"ISM_ADMIN_KEY: this key was revoked at {key.revoked_at:%Y-%m-%d %H:%M} UTC. Choose another."
                    )
                self._remember(_digest(configured), Caller(key.name, key.role, key.key_id))
                return
        for key in stored:
            if key.revoked_at is None:
                self.revoke(key.key_id)
        number = 1 + max((int(key.key_id.removeprefix(_ENVIRONMENT)) for key in stored), default=0)
        self._add(f"{_ENVIRONMENT}{number}", "ISM_ADMIN_KEY", "admin", configured)

    def _check_slowly(self, presented: str, place: str) -> Caller | None:
        match = _KEY.fullmatch(presented)
        if match:
            try:
                candidates = [self._store.get_api_key(match[1])]
            except NotFoundError:
                return None
        else:
            candidates = [key for key in self._store.list_api_keys() if key.key_id.startswith(_ENVIRONMENT)]
        for key in candidates:
            if key.revoked_at is None and self._matches_at(key, presented, place):
                return Caller(key.name, key.role, key.key_id)
        return None

    def _matches_at(self, key: ApiKey, presented: str, place: str) -> bool:
        """`_matches`, so often only from one place for one key: who guesses at one does not lock out another."""
        guessed = f"{place} {key.key_id}"
        if wait := self._attempts.wait_s(guessed):
            raise LockedOutError("Too many wrong keys came from your address. Wait, then use the right one.", wait)
        if self._matches(key, presented):
            return True
        self._attempts.take(guessed)
        return False

    def _matches(self, key: ApiKey, presented: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - as in `_hasher`

        with self._hashing:
            try:
                return self._hasher.verify(key.key_hash, presented)
            except (VerificationError, InvalidHashError):
                return False

    def _recall(self, digest: str) -> Caller | None:
        with self._lock:
            return self._remembered.get(digest)

    def _remember(self, digest: str, caller: Caller) -> None:
        with self._lock:
            while len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[digest] = caller

    def _still_active(self, caller: Caller) -> bool:
        if caller.key_id is None:
            return True
        now = time.monotonic()
        with self._lock:
            if self._active_until.get(caller.key_id, 0.0) > now:
                return True
        if self._store.get_api_key(caller.key_id).revoked_at is not None:
            return False
        with self._lock:
            self._active_until[caller.key_id] = now + RECHECK
        return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
