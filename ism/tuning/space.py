"""Search spaces: an engine's parameters as what Optuna draws, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from ism.domain.errors import InvalidInputError
from ism.engines.base import Param, ParamValue
from ism.engines.params import resolve

if TYPE_CHECKING:
    import optuna

_SHAPES = '{"low": ..., "high": ...} with an optional "log", or {"choices": [...]}'


def suggest(trial: optuna.Trial, space: Mapping[str, Param]) -> dict[str, ParamValue]:
    """One value for each parameter that a search can move; the others are left at their defaults.

    A parameter is drawn from its choices, as a whole number where its default is one, else as a number.
    """
    drawn: dict[str, ParamValue] = {}
    for name, param in space.items():
        if param.choices:
            drawn[name] = cast("ParamValue", trial.suggest_categorical(name, list(param.choices)))
        elif param.low is None or param.high is None:
            continue
        elif isinstance(param.default, int):
            drawn[name] = trial.suggest_int(name, int(param.low), int(param.high), log=param.log)
        else:
            drawn[name] = trial.suggest_float(name, param.low, param.high, log=param.log)
    return drawn


def narrowed(space: Mapping[str, Param], wanted: Mapping[str, Any] | None) -> dict[str, Param]:
    """The part of a space that is searched.

    Args:
        space: of the engine.
        wanted: as `OptimizationConfig.search_space`; everything when None.

    Raises:
        InvalidInputError: a name is not of the space, or bounds or choices leave it.
    """
    if wanted is None:
        return dict(space)
    found = {}
    for name, given in wanted.items():
        field = f"search_space.{name}"
        if name not in space:
            raise InvalidInputError(field, given, f"Known parameters: {', '.join(sorted(space))}.")
        values = asdict(given) if isinstance(given, Param) else given
        if not isinstance(values, Mapping):
            raise InvalidInputError(field, given, f"Give {_SHAPES}.")
        if values.get("choices"):
            found[name] = replace(space[name], choices=_choices(field, name, space, values["choices"]))
        elif "low" in values and "high" in values:
            found[name] = _bounded(field, name, space, values)
        else:
            raise InvalidInputError(field, given, f"Give {_SHAPES}.")
    return found


def to_json(space: Mapping[str, Param]) -> dict[str, Any]:
    """A space as JSON values."""
    return {name: asdict(param) for name, param in space.items()}


def of_json(values: Mapping[str, Any]) -> dict[str, Param]:
    """What `to_json` gave."""
    return {name: Param(**{**param, "choices": tuple(param["choices"])}) for name, param in values.items()}


def _choices(field: str, name: str, space: Mapping[str, Param], choices: Any) -> tuple[ParamValue, ...]:
    if not isinstance(choices, list | tuple):
        raise InvalidInputError(field, choices, f"Give {_SHAPES}.")
    return tuple(_inside(field, name, space, value) for value in choices)


def _bounded(field: str, name: str, space: Mapping[str, Param], values: Mapping[str, Any]) -> Param:
    if space[name].choices:
        raise InvalidInputError(field, dict(values), f"Give choices among {list(space[name].choices)}.")
    low, high = (float(_inside(f"{field}.{end}", name, space, values[end])) for end in ("low", "high"))
    if low > high:
        raise InvalidInputError(field, dict(values), "Give a low bound that is not above the high one.")
    log = values.get("log", space[name].log)
    if not isinstance(log, bool) or (log and low <= 0):
        raise InvalidInputError(f"{field}.log", log, "Give true or false; true needs a low bound above 0.")
    return replace(space[name], low=low, high=high, log=log)


def _inside(field: str, name: str, space: Mapping[str, Param], value: Any) -> ParamValue:
    try:
        return resolve({name: space[name]}, {name: value})[name]
    except InvalidInputError as error:
        raise InvalidInputError(field, value, error.remedy) from error
