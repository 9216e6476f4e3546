"""Sessions of the web page, kept in this process by the SHA-256 of their cookie."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ism.app.auth import Caller

SESSION_SECONDS = 12 * 3600
IDLE_SECONDS = 2 * 3600
_MOST_SESSIONS = 1_000


@dataclass(slots=True)
class _Session:
    caller: Caller
    ends: float
    seen: float


class Sessions:
    """Opens, finds and ends sessions; threads may share it. A session ends after its time, or after idle time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Session] = {}

    def open(self, caller: Caller) -> str:
        """The cookie value of a new session."""
        cookie, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            self._open = {key: session for key, session in self._open.items() if not _over(session, now)}
            while len(self._open) >= _MOST_SESSIONS:
                self._open.pop(next(iter(self._open)))
            self._open[_digest(cookie)] = _Session(caller, now + SESSION_SECONDS, now)
        return cookie

    def find(self, cookie: str) -> Caller | None:
        """Whose session this is; None when it has ended."""
        now = time.monotonic()
        with self._lock:
            session = self._open.get(_digest(cookie))
            if session is None or _over(session, now):
                return None
            session.seen = now
            return session.caller

    def close(self, cookie: str) -> None:
        """End a session; nothing happens when it has ended already."""
        with self._lock:
            self._open.pop(_digest(cookie), None)


def _over(session: _Session, now: float) -> bool:
    return session.ends <= now or session.seen + IDLE_SECONDS <= now


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
