"""Whether a search found something worth a retraining."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ism.engines import catalog
from ism.tuning.config import DEFAULT_BUDGET, PRESETS
from ism.tuning.folder import CONTINUOUS
from ism.tuning.objective import ENGINE_CALL


def is_whole_engine(request: Mapping[str, Any]) -> bool:
    """Whether a search tries an engine in all its parameters, as `OptimizationFolder.request` tells.

    One in some of them leaves the others at their defaults, not at what is in use.
    """
    name, objective = request["config"]["model_name"], request["objective"]
    known = objective["call"] == ENGINE_CALL and name in catalog.names()
    return known and set(objective["space"]) == set(catalog.engine_class(name).search_space())


def gain(told: Mapping[str, Any]) -> float:
    """By how much the best parameters beat the first ones, in the metric; minus infinity while that is not known.

    Args:
        told: as `OptimizationFolder.status` tells.
    """
    trials = told.get("trials") or []
    grows = (
        told["optimization_id"].startswith(CONTINUOUS)
        and told["n_trials"] < PRESETS.get(told["model_name"], DEFAULT_BUDGET)[0]
    )
    measured = bool(trials) and trials[0]["state"] == "complete" and told["best_score"] is not None
    if told["status"] != "completed" or grows or not measured:
        return -math.inf
    gained = float(told["best_score"] - trials[0]["score"])
    return gained if told["direction"] == "maximize" else -gained
