"""Where the simulated market meets the system: over its HTTP API, or, for many runs, straight at the parts behind it.

Both ways give the same lists and the same labels (`tests/app/test_simulation.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from ism.app.simulation import DATASET
from ism.app.simulation.board import Board
from ism.app.teaching import learn, teach
from ism.domain.engine import FusionModel
from ism.domain.errors import ConflictError, EngineError
from ism.domain.market import Recommendation
from ism.fusion.methods import ADAPTIVE_MODEL, method_of

if TYPE_CHECKING:
    from ism.app.simulation.behaviour import Event
    from ism.app.simulation.world import Doubles, Rows, Stage
    from ism.app.wiring import Application
    from ism.data.text import TextEncoder
    from ism.fusion.method import FusionMethod
    from ism.settings import Settings
    from ism.storage import Store

Lines = list[tuple[str, int]]  # recommendation, and the receiver's row
_BATCH = 5_000
_WAIT = 120.0  # seconds that one answer may take


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The simulated time, in UTC."""
        return self.now


class Desk(Protocol):
    """What the market asks of the system."""

    def ask(self, offer: int) -> Lines:
        """The list for an offer, by its number; it is logged as shown."""
        ...

    def tell(self, events: Sequence[Event]) -> None:
        """Hand feedback in."""
        ...

    def turn(self) -> None:
        """Let the system judge feedback and learn from it."""
        ...

    def learn(self) -> None:
        """Learn a fusion model from the outcomes; let it answer where it did better on those that were held out."""
        ...

    def active(self) -> tuple[str, FusionMethod]:
        """The fusion model that answers, by name, and how it fuses."""
        ...

    def adaptive(self) -> dict[str, float]:
        """The adaptive weights."""
        ...

    def triggers(self) -> list[dict[str, Any]]:
        """Decisions about retraining, the latest first."""
        ...


class HttpDesk:
    """The system behind its HTTP API; close it, best by ``with``.

    Args:
        application: on a data folder of its own.
        stage: offers and receivers.
    """

    def __init__(self, application: Application, stage: Stage) -> None:
        import httpx  # noqa: PLC0415 - only where a market is played

        from ism.app.http.app import create_app  # noqa: PLC0415 - as above

        self._stage, self._runner = stage, asyncio.Runner()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(application)),
            base_url=f"http://{DATASET}",
            headers={"X-API-Key": application.auth.local_token},
            timeout=_WAIT,
        )

    def ask(self, offer: int) -> Lines:
        """See `Desk.ask`."""
        found = self._call("POST", "/api/matches", {"offer_id": self._stage.offers[offer].offer_id, "top": 10})
        row_of = self._stage.built.row_of
        return [(line["recommendation_id"], row_of[line["receiver"]["id"]]) for line in found["matches"]]

    def tell(self, events: Sequence[Event]) -> None:
        """See `Desk.tell`."""
        for place in range(0, len(events), _BATCH):
            answer = self._call("POST", "/api/feedback/batch", {"events": list(events[place : place + _BATCH])})
            refused = [item for item in answer["results"] if item["status"] != "stored"]
            if refused:
                raise EngineError(f"The simulation told what cannot be used: {refused[0]}.")

    def turn(self) -> None:
        """See `Desk.turn`."""
        self._call("POST", "/api/feedback/turn")

    def learn(self) -> None:
        """See `Desk.learn`."""
        try:
            model = self._call("POST", "/api/fusion/learn")
        except ConflictError:
            return
        if _measured_better(model["performance_metrics"]):
            self._call("PUT", "/api/fusion/active", {"model_id": model["model_id"], "reason": DATASET})

    def active(self) -> tuple[str, FusionMethod]:
        """See `Desk.active`."""
        model = next(model for model in self._models() if model["is_active"])
        about = (model["model_id"], model["model_type"], model["weights"], model["parameters"])
        return _named(model["model_id"], model["version"]), method_of(FusionModel(*about))

    def adaptive(self) -> dict[str, float]:
        """See `Desk.adaptive`."""
        return next(dict(model["weights"]) for model in self._models() if model["model_id"] == ADAPTIVE_MODEL)

    def triggers(self) -> list[dict[str, Any]]:
        """See `Desk.triggers`."""
        return list(self._call("GET", "/api/feedback/triggers?limit=1000")["triggers"])

    def actors(self) -> list[dict[str, Any]]:
        """How far each actor is believed."""
        return list(self._call("GET", "/api/feedback/trust")["actors"])

    def __enter__(self) -> HttpDesk:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def _models(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "/api/fusion/models")["models"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        response = self._runner.run(self._client.request(method, path, json=body))
        if response.status_code == 409:
            raise ConflictError(str(response.json()["detail"]))
        if response.is_error:
            raise EngineError(f"{method} {path} answered {response.status_code}: {response.text[:500]}")
        return response.json()


class StoreDesk:
    """The parts behind the API, with lists from a board in place of the engines; for many runs on one market.

    Args:
        store: a new one; it is closed by whoever opened it.
        settings: every knob.
        board: what the engines say.
        clock: the simulated time.
        encoder: reads remarks.
    """

    def __init__(self, store: Store, settings: Settings, board: Board, clock: Clock, encoder: TextEncoder) -> None:
        from ism.feedback.orchestrator import AIFeedbackOrchestrator  # noqa: PLC0415 - only where a market is played
        from ism.fusion.layer import AIFusionLayer  # noqa: PLC0415 - as above

        self._store, self._board, self._clock = store, board, clock
        self.fusion = AIFusionLayer(store=store)
        self.feedback = AIFeedbackOrchestrator(store, settings, encoder, clock)
        self.feedback.follow = lambda loop: teach(store, self.fusion, loop)
        self._asked = 0
        self._seen, self._fused_by = -1, FusionModel("", "weighted_sum", {})
        self._lists: tuple[Rows, Doubles, Doubles] | None = None

    def ask(self, offer: int) -> Lines:
        """See `Desk.ask`."""
        ranking, final, sure = self._current()
        rows = [int(row) for row in ranking[offer] if row >= 0]
        self._asked += 1
        request, home = f"{DATASET}-{self._asked:06}", self._board.stage.built.market.receivers
        about = self._board.stage.offers[offer]
        logged = [
            Recommendation(
                recommendation_id=f"{request}-{rank}",
                request_id=request,
                rank=rank,
                receiver_kind=home.kinds[row],
                receiver_id=home.ids[row],
                final_score=float(final[offer, row]),
                confidence=float(sure[offer, row]),
                propensity=1.0,
                engine_scores={name: float(said[offer, row]) for name, said in self._board.probabilities.items()},
                model_versions={},
                offer={"material": about.material, "ewc": about.ewc, "offer_id": about.offer_id},
                created_at=self._clock(),
            )
            for rank, row in enumerate(rows, 1)
        ]
        self._store.log_recommendations(logged)
        return [(item.recommendation_id, row) for item, row in zip(logged, rows, strict=True)]

    def tell(self, events: Sequence[Event]) -> None:
        """See `Desk.tell`."""
        results = asyncio.run(self.feedback.ingest_batch(list(events)))
        refused = [item for item in results if item.status != "stored"]
        if refused:
            raise EngineError(f"The simulation told what cannot be used: {refused[0]}.")

    def turn(self) -> None:
        """See `Desk.turn`."""
        self.feedback.loop.turn()

    def learn(self) -> None:
        """See `Desk.learn`."""
        try:
            model = learn(self.fusion, self.feedback.loop)
        except ConflictError:
            return
        if _measured_better(model.performance_metrics):
            self.fusion.registry.use(model.model_id, actor=DATASET, reason=DATASET)

    def active(self) -> tuple[str, FusionMethod]:
        """See `Desk.active`."""
        model = self.fusion.get_active_model()
        return _named(model.model_id, model.version), method_of(model)

    def adaptive(self) -> dict[str, float]:
        """See `Desk.adaptive`."""
        return self.fusion.registry.get(ADAPTIVE_MODEL).weights

    def triggers(self) -> list[dict[str, Any]]:
        """See `Desk.triggers`."""
        return [
            {"decided_at": item.decided_at.isoformat(), "model_name": item.model_name, "cause": item.cause,
             "decision": item.decision, "reason": item.reason}
            for item in self.feedback.loop.triggering.decisions(None, 1000)
        ]  # fmt: skip

    def close(self) -> None:
        """End what was begun."""
        self.feedback.close()

    def _current(self) -> tuple[Rows, Doubles, Doubles]:
        """Lists, scores and confidences by the model that answers; made again only where that has changed."""
        generation = self.fusion.registry.generation()
        if generation != self._seen or self._lists is None:
            model = self.fusion.get_active_model()
            if model != self._fused_by or self._lists is None:
                final, sure = self._board.fused(method_of(model))
                self._lists = self._board.ranking(final), final, sure
            self._seen, self._fused_by = generation, model
        return self._lists


def _named(model_id: str, version: int) -> str:
    return f"{model_id} {version}"


def _measured_better(metrics: Mapping[str, Any]) -> bool:
    """Whether held-out outcomes were less surprising than with the default weights: what the market's operator asks."""
    return float(metrics["log_loss"]) < float(metrics["default"]["log_loss"])
