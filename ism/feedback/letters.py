"""What cannot be used, kept with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ism.domain.errors import InvalidInputError
from ism.domain.feedback import DeadLetter, FeedbackEvent

_SHOWN = 200  # characters of a value


def letter_for(sent: object, problem: InvalidInputError, at: datetime, keep: int, key: str | None = None) -> DeadLetter:
    """A dead letter.

    Args:
        sent: the body: bytes as they came, or a value, which is written as JSON.
        problem: why it cannot be used.
        at: when it came.
        keep: most bytes to keep of it; the digest is of the whole.
        key: the sender's idempotency key.
    """
    body = sent if isinstance(sent, bytes) else _as_text(sent).encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(body).hexdigest()
    kept = body[:keep].decode("utf-8", "replace" if len(body) <= keep else "ignore").replace("\0", "\ufffd")
    return DeadLetter(
        letter_id=digest[:32],
        body=kept,
        body_bytes=len(body),
        body_sha256=digest,
        field=_plain(problem.field),
        value=_plain(repr(problem.value)),
        reason=_plain(problem.remedy),
        state="open",
        attempts=1,
        first_at=at,
        last_at=at,
        idempotency_key=None if key is None else _plain(key),
    )


def _as_text(sent: object) -> str:
    body = asdict(sent) if isinstance(sent, FeedbackEvent) else sent
    try:
        return json.dumps(body, ensure_ascii=False, default=_named)
    except (TypeError, ValueError, RecursionError):  # keys that are no texts, or a value that holds itself
        return repr(body)


def _named(value: Any) -> Any:
    """A value that JSON does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _plain(text: str) -> str:
    """A text that every database can hold, shortened."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return short.encode("utf-8", "backslashreplace").decode().replace("\0", "\ufffd")
