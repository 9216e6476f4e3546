"""Checking of engine parameters against their search space."""

import math
from collections.abc import Mapping

from ism.domain.errors import InvalidInputError
from ism.engines.base import Param, ParamValue


def resolve(space: Mapping[str, Param], given: Mapping[str, ParamValue] | None) -> dict[str, ParamValue]:
    """Defaults overlaid with ``given``.

    Raises:
        InvalidInputError: a name is unknown or a value lies outside its bounds.
    """
    values = {name: param.default for name, param in space.items()}
    for name, value in (given or {}).items():
        if name not in space:
            raise InvalidInputError(f"params.{name}", value, f"Known parameters: {', '.join(sorted(space))}.")
        values[name] = _checked(name, space[name], value)
    return values


def _checked(name: str, param: Param, value: ParamValue) -> ParamValue:
    if param.choices:
        if value not in param.choices:
            raise InvalidInputError(f"params.{name}", value, f"Choose one of {list(param.choices)}.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"params.{name}", value, "Give a number.")
    if isinstance(param.default, int) and value != int(value):
        raise InvalidInputError(f"params.{name}", value, f"Give a whole number ({param.unit}).")
    low, high = param.low, param.high
    if (low is not None and value < low) or (high is not None and value > high):
        raise InvalidInputError(f"params.{name}", value, f"Give a number from {low} to {high} ({param.unit}).")
    return int(value) if isinstance(param.default, int) else float(value)
