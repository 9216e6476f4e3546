"""The optimizer as a job uses it: on the training part alone, from the champion's parameters, and waited for."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ism.data.text import TextEncoder
from ism.domain.errors import EngineError
from ism.engines.base import ParamValue
from ism.retraining.parts import Pulse
from ism.settings import Settings
from ism.storage import Store
from ism.tuning.config import OptimizationConfig
from ism.tuning.folder import OF_A_JOB
from ism.tuning.optimizer import AIHyperparameterOptimizer
from ism.tuning.source import training_part

_LOOK_S = 0.5


def optimizer_on(store: Store, encoder: TextEncoder, settings: Settings) -> AIHyperparameterOptimizer:
    """An optimizer that learns from what a retraining would, and begins with what serves."""

    def champion(name: str) -> dict[str, Any] | None:
        serves = store.retraining.deployment(name).champion
        return None if serves is None else store.retraining.get_version(serves).params

    return AIHyperparameterOptimizer(settings, partial(training_part, store, encoder, settings), champion=champion)


class Optimizer(Protocol):
    """What is asked of `AIHyperparameterOptimizer`."""

    def submit(self, config: OptimizationConfig, *, snapshot: Path, name: str) -> str:
        """Begin a search on a snapshot; its identifier, which is its name."""
        ...

    def get_optimization_status(self, optimization_id: str) -> dict[str, Any]:
        """``status``, ``model_name``, ``best_params`` and ``error_message``."""
        ...

    def cancel(self, optimization_id: str) -> bool:
        """End a search."""
        ...


class OptimizerSearch:
    """`ism.retraining.parts.Search` by an optimizer.

    Args:
        optimizer: tries the champion's parameters first by itself.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def __call__(
        self,
        job_id: str,
        model_name: str,
        snapshot: Path,
        config: Mapping[str, Any],
        start: Mapping[str, ParamValue],
        pulse: Pulse,
    ) -> dict[str, ParamValue]:
        """The best parameters found, over those to start from.

        Raises:
            EngineError: the search failed, or was stopped.
        """
        named = config.get("optimization_id")
        budget = {name: config[name] for name in ("n_trials", "timeout", "seed") if name in config}
        begun = named or self._begin(job_id, OptimizationConfig(model_name, **budget), snapshot)
        while (told := self._optimizer.get_optimization_status(begun))["status"] == "running":
            pulse.tell({"step": "searching", "progress": told.get("progress", 0.0)})
            if pulse.stopped():
                if named is None:
                    self._optimizer.cancel(begun)
                raise EngineError("The search was stopped on request.")
            time.sleep(_LOOK_S)
        if told["status"] == "not_found":
            raise EngineError(f"There is no search {begun!r}. Begin one, or leave optimization_id out.")
        if told["model_name"] != model_name:
            raise EngineError(f"Search {begun!r} is one of {told['model_name']}, not of {model_name}.")
        if told["status"] != "completed":
            raise EngineError(
                f"The search ended as {told['status']}: {told.get('error_message') or 'no reason given'}."
            )
        return {**start, **told["best_params"]}

    def _begin(self, job_id: str, config: OptimizationConfig, snapshot: Path) -> str:
        """The search of a job: the one that an earlier process began, unless that was stopped."""
        for number in itertools.count(1):
            name = f"{OF_A_JOB}{re.sub('[^0-9A-Za-z]', '-', job_id)}-{number}"
            status = self._optimizer.get_optimization_status(name)["status"]
            if status == "not_found":
                return self._optimizer.submit(config, snapshot=snapshot, name=name)
            if status in {"running", "completed"}:
                return name
        raise AssertionError  # the numbers do not end
