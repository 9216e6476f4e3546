"""Sessions of the web page: kept in the store by the SHA-256 of their cookie, so that they outlive a process.

What was found is remembered for `RECHECK` seconds, within which another process may have ended it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ism.domain.errors import NotFoundError, StorageError, StorageFullError
from ism.storage import Role, Store, WebSession

SESSION_SECONDS = 12 * 3600
IDLE_SECONDS = 2 * 3600
RECHECK = 30.0
_LONGEST, _IDLE = timedelta(seconds=SESSION_SECONDS), timedelta(seconds=IDLE_SECONDS)
_RECHECK = timedelta(seconds=RECHECK)
_NOTE = timedelta(seconds=60)  # between two notes of a session's use
_MOST_REMEMBERED = 1_000
_COOKIE_LENGTH = 43
_log = logging.getLogger("ism.auth")


@dataclass(slots=True)
class _Known:
    session: WebSession
    asked_at: datetime
    noted_at: datetime
    is_stored: bool = True


def _now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """Opens, finds and ends sessions; threads may share it. A session ends after its time, or after idle time.

    Args:
        store: keeps them. Where it is full, a session is kept in this process alone.
        clock: says what time it is.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = _now) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def open(self, name: str, role: Role, key_id: str | None) -> str:
        """The cookie value of a new session."""
        cookie, now = secrets.token_urlsafe(32), self._clock()
        session = WebSession(_digest(cookie), name, role, key_id, now, now)
        is_stored = True
        try:
            self._store.add_session(session, now - _LONGEST)
        except StorageFullError:  # whoever is to free space must get in
            _log.error("There is no room to store the session of %s: it ends with this process.", name)
            is_stored = False
        self._remember(_Known(session, now, now, is_stored))
        return cookie

    def find(self, cookie: str) -> WebSession | None:
        """Whose session this is; None when it has ended."""
        if len(cookie) != _COOKIE_LENGTH:
            return None
        now = self._clock()
        known = self._recall(_digest(cookie), now)
        if known is None or now - known.session.began_at >= _LONGEST or now - known.session.seen_at >= _IDLE:
            return None
        known.session = replace(known.session, seen_at=now)
        if known.is_stored and now - known.noted_at >= _NOTE:
            known.noted_at = now
            with suppress(StorageError):  # then the next note tells
                self._store.see_session(known.session.digest, now)
        return known.session

    def close(self, cookie: str) -> None:
        """End a session; nothing happens when it has ended already."""
        digest = _digest(cookie)
        with self._lock:
            self._known.pop(digest, None)
        self._store.end_sessions(digest)

    def _recall(self, digest: str, now: datetime) -> _Known | None:
        with self._lock:
            known = self._known.get(digest)
        if known is not None and (not known.is_stored or now - known.asked_at < _RECHECK):
            return known
        try:
            session = self._store.get_session(digest)
        except NotFoundError:
            with self._lock:
                self._known.pop(digest, None)
            return None
        noted_at = session.seen_at
        if known is not None:
            session = replace(session, seen_at=max(known.session.seen_at, noted_at))
        found = _Known(session, now, noted_at)
        self._remember(found)
        return found

    def _remember(self, known: _Known) -> None:
        with self._lock:
            while len(self._known) >= _MOST_REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[known.session.digest] = known


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
