"""Outputs of engines from JSON values."""

from __future__ import annotations

from collections.abc import Mapping

from ism.domain.engine import EngineOutput
from ism.domain.errors import InvalidInputError


def output_of(values: object, place: int) -> EngineOutput:
    """An output from JSON values.

    Args:
        values: the fields of `EngineOutput` but ``timestamp``.
        place: in the list that they stood in, from 0.

    Raises:
        InvalidInputError: a field is missing or unknown, or a value cannot be used.
    """
    if isinstance(values, EngineOutput):
        return values
    known = set(EngineOutput.__dataclass_fields__) - {"timestamp"}
    if not isinstance(values, Mapping) or not {"engine_name", "confidence_score"} <= set(values) <= known:
        remedy = f"Give engine_name and confidence_score; known are {', '.join(sorted(known))}."
        raise InvalidInputError(f"engine_outputs[{place}]", values, remedy)
    return EngineOutput(**values)
