"""What is to be searched, how, and for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from ism.domain.errors import InvalidInputError

TYPES = ("bayesian", "tpe", "gp", "random", "cmaes")
DIRECTIONS = ("maximize", "minimize")
PRESETS = {"gnn": (50, 3600.0), "federated": (40, 2400.0), "matching": (30, 1800.0)}  # trials, seconds
DEFAULT_BUDGET = PRESETS["matching"]
CONSTRAINTS = {"max_training_time": "s", "max_memory": "MiB", "min_score": "of the metric"}
_MOST_TRIALS = 10_000


@dataclass(frozen=True, slots=True)
class OptimizationConfig:
    """A search that is asked for.

    Attributes:
        model_name: an engine of the catalogue, or the name of what a given objective tunes.
        optimization_type: ``bayesian`` and ``tpe`` (multivariate tree-structured Parzen estimator, Bergstra et al.
            2011, Falkner et al. 2018), ``gp`` (Gaussian process), ``random``, ``cmaes`` (Hansen 2016).
        n_trials: trials to finish; the model's preset when None (gnn 50, federated 40, all others 30).
        timeout: seconds of search at most; the model's preset when None (gnn 3600, federated 2400, all others 1800).
        metric: ``accuracy`` (nDCG@10), ``ndcg@10``, ``mrr``, ``recall@10``; any name where an objective is given.
        direction: ``maximize`` or ``minimize``.
        constraints: any of ``max_training_time`` (s of one fit), ``max_memory`` (MiB of a trial's process),
            ``min_score`` (of the metric).
        search_space: parameter -> ``{"low", "high", "log"}`` or ``{"choices"}`` within the engine's own space; only
            these are searched. The whole space of the engine when None.
        seed: of the sampler, the folds and the fits.

    Raises:
        InvalidInputError: a value cannot be used; names it and what to send instead.
    """

    model_name: str
    optimization_type: str = "bayesian"
    n_trials: int | None = None
    timeout: float | None = None
    metric: str = "accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    constraints: Mapping[str, float] | None = None
    search_space: Mapping[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("model_name", "metric"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise InvalidInputError(name, value, "Give a name as text.")
        trials, seconds = PRESETS.get(self.model_name, DEFAULT_BUDGET)
        if self.n_trials is None:
            object.__setattr__(self, "n_trials", trials)
        if self.timeout is None:
            object.__setattr__(self, "timeout", seconds)
        _one_of("optimization_type", self.optimization_type, TYPES)
        _one_of("direction", self.direction, DIRECTIONS)
        _whole("n_trials", self.n_trials, 1, _MOST_TRIALS)
        _whole("seed", self.seed, 0, 2**31 - 1)
        _number("timeout", self.timeout, above=0.0, unit="s")
        _check_constraints(self.constraints)
        if self.search_space is not None and not (isinstance(self.search_space, Mapping) and self.search_space):
            remedy = "Name at least one parameter, or leave it out to search all of them."
            raise InvalidInputError("search_space", self.search_space, remedy)

    @property
    def budget(self) -> tuple[int, float]:
        """Trials, and seconds."""
        return cast("int", self.n_trials), float(cast("float", self.timeout))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in asdict(self).items()}


def config_of(values: Mapping[str, Any]) -> OptimizationConfig:
    """A config from JSON values.

    Raises:
        InvalidInputError: a name is unknown or missing, or a value cannot be used.
    """
    known = set(OptimizationConfig.__dataclass_fields__)
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInputError(unknown[0], values[unknown[0]], f"Known names: {', '.join(sorted(known))}.")
    if "model_name" not in values:
        raise InvalidInputError("model_name", None, "Name the engine to tune.")
    return OptimizationConfig(**values)


def _check_constraints(given: object) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise InvalidInputError("constraints", given, f"Give a mapping with any of {', '.join(CONSTRAINTS)}.")
    for name, value in given.items():
        if name not in CONSTRAINTS:
            raise InvalidInputError(f"constraints.{name}", value, f"Known constraints: {', '.join(CONSTRAINTS)}.")
        _number(f"constraints.{name}", value, None if name == "min_score" else 0.0, CONSTRAINTS[name])


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInputError(name, value, f"Choose one of {', '.join(choices)}.")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInputError(name, value, f"Give a whole number from {low} to {high}.")


def _number(name: str, value: object, above: float | None, unit: str) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or (above is not None and not cast("float", value) > above):
        least = f" above {above:g}" if above is not None else ""
        raise InvalidInputError(name, value, f"Give a number{least} ({unit}).")
