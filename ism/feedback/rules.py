"""What the fields of an event may hold; each rule returns the value as it is kept, or says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from ism.domain.errors import InvalidInputError
from ism.domain.feedback import EventType, Outcome

Rule = Callable[[str, Any], Any]

MAX_IDENTIFIER = 200  # characters; as the store's
MAX_TEXT = 10_000  # characters
MAX_DEPTH = 16  # levels of a JSON value
MAX_TONNES = 1e12


def text(field: str, value: Any) -> str:
    """A text of up to `MAX_TEXT` characters that can be stored."""
    if not isinstance(value, str):
        raise InvalidInputError(field, value, "Give a text.")
    if len(value) > MAX_TEXT:
        raise InvalidInputError(field, value, f"Give at most {MAX_TEXT:,} characters; these are {len(value):,}.")
    return _storable(field, value)


def identifier(field: str, value: Any) -> str:
    """A text of 1 to `MAX_IDENTIFIER` characters."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTIFIER:
        raise InvalidInputError(field, value, f"Give a text of 1 to {MAX_IDENTIFIER} characters.")
    return _storable(field, value)


def whole(low: int, high: int) -> Rule:
    """A whole number within limits; 4.0 counts as 4."""

    def rule(field: str, value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if type(value) is float and value.is_integer() and low <= value <= high:
            return int(value)
        raise InvalidInputError(field, value, f"Give a whole number from {low} to {high}.")

    return rule


def number(low: float, high: float, unit: str) -> Rule:
    """A finite number within limits."""

    def rule(field: str, value: Any) -> float:
        if type(value) not in {int, float} or not low <= value <= high or not math.isfinite(value):
            raise InvalidInputError(field, value, f"Give a number from {low:g} to {high:g}{unit}.")
        return float(value)

    return rule


def one_of(choices: tuple[str, ...]) -> Rule:
    """One of a few texts."""
    known = frozenset(choices)

    def rule(field: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise InvalidInputError(field, value, f"Give one of {', '.join(choices)}.")
        return value

    return rule


def time(field: str, value: Any) -> datetime:
    """A point in time with its zone, as ISO 8601 or a ``datetime``; in UTC."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(found, datetime) and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(field, value, "Give a time with its zone, such as 2026-01-31T12:00:00Z.")


def anything(field: str, value: Any, depth: int = 0) -> Any:
    """Any value that JSON and the database can hold."""
    if depth > MAX_DEPTH:
        raise InvalidInputError(field, value, f"Give at most {MAX_DEPTH} levels.")
    if isinstance(value, str):
        return _storable(field, value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [anything(f"{field}[{place}]", item, depth + 1) for place, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {name(field, key): anything(f"{field}.{key}", item, depth + 1) for key, item in value.items()}
    raise InvalidInputError(
        field, value, "Give a value that JSON can hold: a text, a finite number, a list, an object."
    )


def name(field: str, key: Any) -> str:
    """The name of an object's field."""
    if not isinstance(key, str):
        raise InvalidInputError(field, key, "Name the fields of an object by texts.")
    return _storable(field, key)


def _storable(field: str, value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidInputError(field, value, "Remove the broken character (half of a surrogate pair).") from None
    if "\0" in value:
        raise InvalidInputError(field, value, "Remove the NUL character.")
    return value


_ABOUT: dict[str, Rule] = {
    "recommendation_id": identifier,
    "offer_id": identifier,
    "receiver_id": identifier,
    "actor_id": identifier,
    "model_name": identifier,
}
FIELDS: Mapping[EventType, Mapping[str, Rule]] = {
    "user_feedback": {"rating": whole(1, 5), "feedback": text, **_ABOUT},
    "match_outcome": {
        "outcome": one_of(get_args(Outcome)),
        "tonnes": number(0.0, MAX_TONNES, " tonnes"),
        "reason": text,
        **_ABOUT,
    },
    "system_metric": {"metric_name": identifier, "value": number(-1e300, 1e300, ""), "component": identifier, **_ABOUT},
    "error": {"component": identifier, "message": text, **_ABOUT},
}
_PAIR = frozenset({"offer_id", "receiver_id"})
NEEDED: Mapping[EventType, tuple[tuple[frozenset[str], ...], ...]] = {
    # every row must be met: by one of its alternatives, each of which is a set of fields
    "user_feedback": (
        (frozenset({"rating"}), frozenset({"feedback"})),
        (frozenset({"model_name"}), frozenset({"recommendation_id"}), _PAIR),
    ),
    "match_outcome": ((frozenset({"outcome"}),), (frozenset({"recommendation_id"}), _PAIR)),
    "system_metric": ((frozenset({"metric_name"}),), (frozenset({"value"}),)),
    "error": (),
}
