"""How jobs run, and what a request may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, get_args

from ism.domain.errors import InvalidInputError
from ism.domain.retraining import RetrainingType, TriggerType
from ism.engines.process import Limits
from ism.retraining.comparison import GatePolicy

TYPES: tuple[str, ...] = get_args(RetrainingType)
TRIGGERS: tuple[str, ...] = get_args(TriggerType)
_KNOWN = ("retraining_type", "n_trials", "timeout", "seed", "optimization_id")


@dataclass(frozen=True, slots=True)
class RetrainingConfig:
    """Limits and patience of jobs.

    Attributes:
        maturity: how long an outcome takes to be known.
        fresh_share: of the matured exchanges that only the gate sees, 0..1.
        cool_down: between the beginnings of two runs of a model; a manual request does not wait for it.
        weekly_budget: runs of a model in seven days, however they are asked for.
        training: limits of one training.
        most_looks: how often the gate looks at one challenger before it gives up.
        look_again: how long a held challenger waits for more outcomes.
        shadow_requests: that a challenger must score without a failure before anybody sees it.
        canary_share: of the companies that the challenger answers in its canary, 0..1.
        canary_alpha: chance of a false alarm, and of a false all-clear.
        canary_margin: largest loss of the mean outcome that counts as safe, 0..1.
        bake: how long a promoted model is watched.
        kept_versions: whose files are kept, a model.
        lease: after which a worker that does not answer is taken for dead.
        auto_deploy: whether what passed the gate goes on by itself.
    """

    maturity: timedelta = timedelta(days=90)
    fresh_share: float = 0.25
    cool_down: timedelta = timedelta(hours=24)
    weekly_budget: int = 7
    training: Limits = field(default_factory=lambda: Limits(3600.0, 8192.0))
    most_looks: int = 5
    look_again: timedelta = timedelta(days=7)
    shadow_requests: int = 50
    canary_share: float = 0.1
    canary_alpha: float = 0.05
    canary_margin: float = 0.05
    bake: timedelta = timedelta(hours=24)
    kept_versions: int = 10
    lease: timedelta = timedelta(seconds=60)
    auto_deploy: bool = True
    gate: GatePolicy = field(default_factory=GatePolicy)


def checked_request(trigger_type: str, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """A request's configuration with its defaults.

    Raises:
        InvalidInputError: the trigger, a name or a value is unknown; names it and what to send instead.
    """
    if trigger_type not in TRIGGERS:
        raise InvalidInputError("trigger_type", trigger_type, f"Choose one of {', '.join(TRIGGERS)}.")
    if config is not None and not isinstance(config, Mapping):
        raise InvalidInputError("config", config, f"Give a mapping with any of {', '.join(_KNOWN)}.")
    given = {"retraining_type": "full", **(config or {})}
    for name, value in given.items():
        if name not in _KNOWN:
            raise InvalidInputError(f"config.{name}", value, f"Known names: {', '.join(_KNOWN)}.")
    if given["retraining_type"] not in TYPES:
        remedy = f"Choose one of {', '.join(TYPES)}."
        raise InvalidInputError("config.retraining_type", given["retraining_type"], remedy)
    for name, least, most in (("n_trials", 1, 10_000), ("seed", 0, 2**31 - 1)):
        value = given.get(name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and least <= value <= most):
            raise InvalidInputError(f"config.{name}", value, f"Give a whole number from {least} to {most}.")
    timeout = given.get("timeout")
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout <= 7 * 86_400):
        raise InvalidInputError("config.timeout", timeout, "Give seconds, above 0 and at most a week.")
    search = given.get("optimization_id")
    if search is not None and not (isinstance(search, str) and search and given["retraining_type"] == "optimization"):
        remedy = "Name a search, with the retraining_type optimization."
        raise InvalidInputError("config.optimization_id", search, remedy)
    return {name: value for name, value in given.items() if value is not None}
