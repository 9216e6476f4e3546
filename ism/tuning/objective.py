"""What a trial computes, in its own process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ism.domain.errors import EngineError, InvalidInputError
from ism.engines import catalog
from ism.engines.base import Param, ParamValue
from ism.engines.metrics import METRICS
from ism.engines.process.worker import Report
from ism.engines.snapshot_files import read_snapshot
from ism.engines.validation import FOLDS, fold_scores
from ism.tuning.config import OptimizationConfig
from ism.tuning.space import narrowed, of_json, to_json

ENGINE_CALL = "ism.tuning.objective:score_engine"


@dataclass(frozen=True, slots=True)
class Objective:
    """A function to optimise.

    Attributes:
        call: ``module:function``, called in the trial's process with ``arguments`` and with ``params``, ``seed`` and
            ``report``. It returns ``{"score": float}``, optionally with ``training_seconds``. It may report
            ``{"fitting": true}`` when a fit begins, ``{"fitting": false}`` when it is over, and
            ``{"score": float, "training_seconds": float}`` after each part; then hopeless trials are ended early.
        arguments: JSON values.
        space: what is searched.
    """

    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Param] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, _, name = self.call.partition(":")
        if not module or not name.isidentifier():
            raise InvalidInputError("objective.call", self.call, "Name a function as 'module:function'.")
        if not self.space:
            raise InvalidInputError("objective.space", {}, "Give at least one parameter to search.")

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"call": self.call, "arguments": dict(self.arguments), "space": to_json(self.space)}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Objective:
        """What `to_json` gave."""
        return cls(values["call"], values["arguments"], of_json(values["space"]))


def engine_objective(
    config: OptimizationConfig,
    snapshot: Path,
    text_model: Path | None = None,
    policies: Mapping[str, Mapping[str, ParamValue]] | None = None,
) -> Objective:
    """The objective of an engine: mean of the metric over folds of the snapshot, which is all that a trial is given.

    Args:
        config: what is searched.
        snapshot: its folder.
        text_model: folder of the sentence model; the bundled one when None.
        policies: engine -> parameters that people decide about, such as its privacy.

    Raises:
        NotFoundError: there is no such engine.
        InvalidInputError: metric, direction or search space cannot be used.
    """
    check_engine(config)
    space = narrowed(catalog.engine_class(config.model_name).search_space(), config.search_space)
    model = None if text_model is None else str(text_model)
    arguments = {
        "engine": config.model_name,
        "snapshot": str(snapshot),
        "metric": config.metric,
        "text_model": model,
        "policy": dict((policies or {}).get(config.model_name, {})),
    }
    return Objective(ENGINE_CALL, arguments, space)


def check_engine(config: OptimizationConfig) -> None:
    """Refuse what cannot be searched, before any data are read; raises as `engine_objective`."""
    if config.model_name not in catalog.names():
        remedy = f"Choose one of {', '.join(catalog.names())}."
        raise InvalidInputError("model_name", config.model_name, remedy)
    if config.metric not in METRICS:
        raise InvalidInputError("metric", config.metric, f"Choose one of {', '.join(METRICS)}.")
    if config.direction != "maximize":
        remedy = f"Use maximize: {config.metric} grows with quality."
        raise InvalidInputError("direction", config.direction, remedy)
    narrowed(catalog.engine_class(config.model_name).search_space(), config.search_space)


def score_engine(  # noqa: PLR0913, PLR0917 - arguments of an objective, as they come over the wire
    engine: str,
    snapshot: str,
    metric: str,
    text_model: str | None,
    policy: Mapping[str, ParamValue],
    params: Mapping[str, ParamValue],
    seed: int,
    report: Report,
) -> dict[str, float]:
    """Fit the engine on folds of a snapshot and score it on what each fold left out."""
    learnt = read_snapshot(Path(snapshot))
    make = partial(catalog.make, engine, catalog.text_encoder(text_model), policy=policy)
    values, weights, slowest = [], [], 0.0
    for fold in fold_scores(learnt, make, params, metric, seed, lambda begun: report({"fitting": begun})):
        values.append(fold.value)
        weights.append(fold.questions)
        slowest = max(slowest, fold.fit_seconds)
        if len(values) < FOLDS:  # after the last there is nothing left to save
            report({"score": float(np.average(values, weights=weights)), "training_seconds": slowest})
    if not values:
        raise EngineError("No fold has a question that its other part can answer. Add exchanges.")
    return {"score": float(np.average(values, weights=weights)), "training_seconds": slowest}
