"""Feedback as commands see it: from a running server, or from the folder itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from ism.app.wiring import Application
    from ism.domain.feedback import DeadLetterState

Json = dict[str, Any]
_PATH = "/api/feedback"


class FeedbackBackend(Protocol):
    """What commands ask for; answers are JSON values, the same from both backends."""

    def tell(self, events: list[Any], key: str | None) -> list[Json]:
        """What became of up to 10,000 events."""
        ...

    def events(self, after: int, limit: int) -> list[Json]:
        """Up to ``limit`` (at most 1,000) events behind a sequence number."""
        ...

    def status(self) -> Json:
        """The answer of ``GET /api/feedback/status``."""
        ...

    def letters(self, state: DeadLetterState | None, after: str | None, limit: int) -> list[Json]:
        """Up to ``limit`` (at most 1,000) dead letters behind an identifier."""
        ...

    def replay(self, letter_id: str, corrected: Any) -> Json:
        """The replayed letter."""
        ...

    def discard(self, letter_id: str) -> Json:
        """The discarded letter."""
        ...


class ServerFeedback:
    """Asks a running server.

    Args:
        ask: sends a request and gives back its JSON, or raises what the server said.
    """

    def __init__(self, ask: Callable[..., Json]) -> None:
        self._ask = ask

    def tell(self, events: list[Any], key: str | None) -> list[Json]:
        """What became of events."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return cast(
            "list[Json]", self._ask("POST", f"{_PATH}/batch", json={"events": events}, headers=headers)["results"]
        )

    def events(self, after: int, limit: int) -> list[Json]:
        """Events behind a sequence number."""
        return cast("list[Json]", self._ask("GET", _PATH, params={"after": after, "limit": limit})["items"])

    def status(self) -> Json:
        """How feedback fares."""
        return self._ask("GET", f"{_PATH}/status")

    def letters(self, state: DeadLetterState | None, after: str | None, limit: int) -> list[Json]:
        """Dead letters."""
        given = {"state": state, "after": after, "limit": limit}
        query = {name: value for name, value in given.items() if value is not None}
        return cast("list[Json]", self._ask("GET", f"{_PATH}/dead-letters", params=query)["items"])

    def replay(self, letter_id: str, corrected: Any) -> Json:
        """The replayed letter."""
        body = {} if corrected is None else {"json": corrected}
        return self._ask("POST", f"{_PATH}/dead-letters/{letter_id}/replay", **body)

    def discard(self, letter_id: str) -> Json:
        """The discarded letter."""
        return self._ask("POST", f"{_PATH}/dead-letters/{letter_id}/discard")


class FolderFeedback:
    """Works on the folder itself.

    Args:
        application: opened on it.
    """

    def __init__(self, application: Application) -> None:
        self._feedback, self._store = application.feedback, application.store.feedback

    def tell(self, events: list[Any], key: str | None) -> list[Json]:
        """What became of events."""
        scoped = None if key is None else f"this machine:{key}"
        return cast("list[Json]", _plain(asyncio.run(self._feedback.ingest_batch(events, scoped))))

    def events(self, after: int, limit: int) -> list[Json]:
        """Events behind a sequence number."""
        return cast("list[Json]", _plain(self._store.events(after, limit)))

    def status(self) -> Json:
        """How feedback fares."""
        return asyncio.run(self._feedback.get_system_status())

    def letters(self, state: DeadLetterState | None, after: str | None, limit: int) -> list[Json]:
        """Dead letters."""
        return cast("list[Json]", _plain(self._store.dead_letters(state, after, limit)))

    def replay(self, letter_id: str, corrected: Any) -> Json:
        """The replayed letter."""
        return cast("Json", _plain(asyncio.run(self._feedback.replay_dead_letter(letter_id, corrected))))

    def discard(self, letter_id: str) -> Json:
        """The discarded letter."""
        return cast("Json", _plain(asyncio.run(self._feedback.discard_dead_letter(letter_id))))


def _plain(value: object) -> object:
    """Values as JSON, in the form that the server gives them."""
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - only where no server runs

    return to_jsonable_python(value)
