"""The search for better parameters as the application runs it: on its own store, in the background."""

from __future__ import annotations

import threading
from typing import Any

from ism.data.text import TextEncoder
from ism.domain.errors import ConflictError, NotFoundError
from ism.engines import catalog
from ism.retraining.search import optimizer_on
from ism.settings import Settings
from ism.storage import Store
from ism.storage.lead import SOLE, Leadership
from ism.tuning.config import config_of
from ism.tuning.idle import ContinuousSearch

_END = 5.0  # seconds that the thread of the continuous search has to end


class Tuning:
    """One optimizer on the application's store, and the continuous search where it is switched on.

    Args:
        settings: of the application.
        store: the market that is learnt from.
        encoder: turns texts into vectors.
        lead: whether this process searches by itself.

    Attributes:
        optimizer: for everything that is not said here.
    """

    def __init__(self, settings: Settings, store: Store, encoder: TextEncoder, lead: Leadership = SOLE) -> None:
        self.optimizer = optimizer_on(store, encoder, settings)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if settings.tuning_continuous:
            idle = ContinuousSearch(self.optimizer, catalog.names(), store.generation, settings)
            idle.lead = lead
            self._thread = threading.Thread(target=idle.run, args=(self._closing,), name="continuous", daemon=True)
            self._thread.start()

    def begin(self, values: dict[str, Any]) -> dict[str, Any]:
        """Begin a search with the values of an `OptimizationConfig`; its status.

        Raises:
            InvalidInputError: a value cannot be used.
        """
        return self.optimizer.get_optimization_status(self.optimizer.submit(config_of(values)))

    def begin_again(self, optimization_id: str) -> dict[str, Any]:
        """Begin a search with all that another one was asked with; its status.

        Raises:
            NotFoundError: there is no such search.
            InvalidInputError: what it was asked with can be used no more.
        """
        return self.optimizer.get_optimization_status(self.optimizer.submit(self.optimizer.get_config(optimization_id)))

    def cancel(self, optimization_id: str) -> dict[str, Any]:
        """End a search; its status.

        Raises:
            NotFoundError: there is no such search.
            ConflictError: it has ended already.
        """
        status = self.optimizer.get_optimization_status(optimization_id)["status"]
        if status == "not_found":
            raise NotFoundError("optimization", optimization_id)
        if not self.optimizer.cancel(optimization_id):
            raise ConflictError(f"Optimization {optimization_id} has ended already; it cannot be cancelled.")
        return self.optimizer.wait(optimization_id, _END)

    def close(self) -> None:
        """Stop; what is not finished is carried on at the next start."""
        self._closing.set()
        self.optimizer.close()
        if self._thread is not None:
            self._thread.join(_END)
