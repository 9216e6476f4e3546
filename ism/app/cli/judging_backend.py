"""Quarantine, trust and triggers as commands see them: from a running server, or from the folder itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from ism.app.wiring import Application
    from ism.domain.judgement import QuarantineState

Json = dict[str, Any]
_PATH = "/api/feedback"
_BY = "command line"
_STATES: dict[str, QuarantineState] = {"release": "released", "confirm": "confirmed"}


class JudgingBackend(Protocol):
    """What commands ask for; answers are JSON values, the same from both backends."""

    def quarantine(self, state: QuarantineState | None, after: str | None, limit: int) -> list[Json]:
        """Events that do not count, with reasons."""
        ...

    def decide(self, event_id: str, decision: str, reason: str) -> Json:
        """The entry after ``release`` or ``confirm``."""
        ...

    def actors(self) -> list[Json]:
        """Trust of every actor, with reasons."""
        ...

    def set_trust(self, actor_id: str, trust: float | None, reason: str) -> Json:
        """The actor after an operator's word."""
        ...

    def triggers(self, model: str | None, limit: int) -> list[Json]:
        """The latest decisions about retraining."""
        ...

    def ask(self, model: str, reason: str) -> Json:
        """The decision about a wish by hand."""
        ...

    def turn(self) -> Json:
        """What judging the waiting feedback did."""
        ...


class ServerJudging:
    """Asks a running server.

    Args:
        ask: sends a request and gives back its JSON, or raises what the server said.
    """

    def __init__(self, ask: Callable[..., Json]) -> None:
        self._send = ask

    def quarantine(self, state: QuarantineState | None, after: str | None, limit: int) -> list[Json]:
        """Events that do not count."""
        given = {"state": state, "after": after, "limit": limit}
        query = {name: value for name, value in given.items() if value is not None}
        return cast("list[Json]", self._send("GET", f"{_PATH}/quarantine", params=query)["items"])

    def decide(self, event_id: str, decision: str, reason: str) -> Json:
        """The entry afterwards."""
        return self._send("POST", f"{_PATH}/quarantine/{quote(event_id, '')}/{decision}", json={"reason": reason})

    def actors(self) -> list[Json]:
        """Trust of every actor."""
        return cast("list[Json]", self._send("GET", f"{_PATH}/trust")["actors"])

    def set_trust(self, actor_id: str, trust: float | None, reason: str) -> Json:
        """The actor afterwards."""
        body = {"trust": trust, "reason": reason}
        return self._send("PUT", f"{_PATH}/trust/{quote(actor_id, '')}", json=body)

    def triggers(self, model: str | None, limit: int) -> list[Json]:
        """The latest decisions."""
        query = {"limit": limit, **({"model_name": model} if model else {})}
        return cast("list[Json]", self._send("GET", f"{_PATH}/triggers", params=query)["triggers"])

    def ask(self, model: str, reason: str) -> Json:
        """The decision."""
        return self._send("POST", f"{_PATH}/triggers", json={"model_name": model, "reason": reason})

    def turn(self) -> Json:
        """What was done."""
        return self._send("POST", f"{_PATH}/turn")


class FolderJudging:
    """Works on the folder itself.

    Args:
        application: opened on it.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._loop = application.feedback.loop

    def quarantine(self, state: QuarantineState | None, after: str | None, limit: int) -> list[Json]:
        """Events that do not count."""
        return cast("list[Json]", _plain(self._loop.review.quarantined(state, after, limit)))

    def decide(self, event_id: str, decision: str, reason: str) -> Json:
        """The entry afterwards."""
        return cast("Json", _plain(self._loop.review.decide(event_id, _STATES[decision], _BY, reason)))

    def actors(self) -> list[Json]:
        """Trust of every actor."""
        return cast("list[Json]", _plain(self._loop.review.actors()))

    def set_trust(self, actor_id: str, trust: float | None, reason: str) -> Json:
        """The actor afterwards."""
        return cast("Json", _plain(self._loop.review.set_trust(actor_id, trust, _BY, reason)))

    def triggers(self, model: str | None, limit: int) -> list[Json]:
        """The latest decisions."""
        return cast("list[Json]", _plain(self._loop.triggering.decisions(model, limit)))

    def ask(self, model: str, reason: str) -> Json:
        """The decision."""
        return cast("Json", _plain(self._loop.triggering.ask(model, reason, _BY)))

    def turn(self) -> Json:
        """What was done."""
        from ism.app.http.routes.judging import take_turn  # noqa: PLC0415 - only where no server runs

        return take_turn(self._application)


def _plain(value: object) -> object:
    """Values as JSON, in the form that the server gives them."""
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - only where no server runs

    return to_jsonable_python(value)
