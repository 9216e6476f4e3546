"""What was sent, as an event that can be stored: checked, completed, written out, with its digest."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import orjson

from ism.domain.errors import InvalidInputError
from ism.domain.feedback import DEFAULT_PRIORITY, DeadLetter, EventSource, EventType, FeedbackEvent
from ism.feedback import rules
from ism.storage.feedback import NewEvent

_TYPE = rules.one_of(get_args(EventType))
_SOURCE = rules.one_of(get_args(EventSource))
_PRIORITY = rules.whole(1, 5)
_KNOWN = frozenset({
    "type", "event_type", "event_id", "source", "data", "event_time", "recorded_at", "metadata", "priority"
})  # fmt: skip
_RULES = {
    kind: {name: (f"data.{name}", rule) for name, rule in fields.items()} for kind, fields in rules.FIELDS.items()
}
_EMPTY = "{}"
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "One thing that happened. docs/feedback.md lists what data holds for each type.",
    "required": ["type", "data"],
    "properties": {
        "type": {"type": "string", "enum": list(get_args(EventType)), "description": "Also as event_type."},
        "source": {"type": "string", "enum": list(get_args(EventSource)), "default": "user"},
        "data": {"type": "object"},
        "event_id": {"type": "string", "minLength": 1, "maxLength": rules.MAX_IDENTIFIER},
        "event_time": {"type": "string", "format": "date-time", "description": "When it happened; now if left out."},
        "metadata": {"type": "object"},
        "priority": {"type": "integer", "minimum": 1, "maximum": 5, "default": DEFAULT_PRIORITY},
    },
    "example": {
        "type": "user_feedback",
        "source": "user",
        "data": {"model_name": "matching", "rating": 4, "feedback": "Great match quality"},
    },
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be taken in.

    Attributes:
        skew: how far ``event_time`` may lie ahead of our clock.
        late: how far it may lie behind.
        event_bytes: largest size of ``data`` and of ``metadata``, written out.
    """

    skew: timedelta = timedelta(minutes=5)
    late: timedelta = timedelta(days=180)
    event_bytes: int = 64 * 1024


@dataclass(slots=True)
class Arrival:
    """One event on its way in.

    Attributes:
        event: what will be stored.
        offer_id: with ``receiver_id``, what it is about where it names no recommendation.
        sent: as it came, for a dead letter.
        letter: the dead letter that it is another attempt of.
    """

    event: NewEvent
    offer_id: str | None
    receiver_id: str | None
    sent: object
    letter: DeadLetter | None = None


def read(sent: object, now: datetime, limits: Limits, key: str | None = None) -> Arrival:
    """Check an event; SPEC.md's short form ``{'type', 'source', 'data'}`` will do.

    Args:
        sent: a mapping, or a `FeedbackEvent`. ``recorded_at`` is set by the store, whatever it says.
        now: the time at which it came.
        limits: of times and sizes.
        key: the sender's idempotency key; names the event where it has no ``event_id``.

    Raises:
        InvalidInputError: names the first field that cannot be used, and its value.
    """
    body = asdict(sent) if isinstance(sent, FeedbackEvent) else sent
    if type(body) is not dict and not isinstance(body, Mapping):
        raise InvalidInputError("event", sent, "Give an object with type, source and data.")
    if not _KNOWN.issuperset(body):
        name = next(name for name in body if name not in _KNOWN)
        raise InvalidInputError(
            str(name) or "event", body[name], "There is no such field; what happened belongs into data."
        )
    kind: EventType = _TYPE("type", _kind(body))
    data = _data(kind, body.get("data"))
    metadata = body.get("metadata")
    told = _written("data", data, limits)
    bare = metadata is None or metadata == {}
    about = _EMPTY if bare else _written("metadata", rules.anything("metadata", _object("metadata", metadata)), limits)
    source = _SOURCE("source", body.get("source", "user"))
    priority = body.get("priority")
    priority = DEFAULT_PRIORITY if priority is None else _PRIORITY("priority", priority)
    happened = body.get("event_time")
    event_time = now if happened is None else _time(happened, now, limits)
    stated = "" if happened is None else event_time.isoformat()
    whole = "\0".join((kind, source, str(priority), stated, told, about))
    digest = hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()
    if key is not None:
        rules.identifier("Idempotency-Key", key)
    event = NewEvent(
        _name(body.get("event_id"), key),
        key,
        digest,
        kind,
        source,
        told,
        about,
        priority,
        event_time,
        data.get("recommendation_id"),
        data.get("actor_id"),
        data.get("model_name"),
    )
    return Arrival(event, data.get("offer_id"), data.get("receiver_id"), sent)


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


def _kind(body: Mapping[str, Any]) -> Any:
    kind, other = body.get("type"), body.get("event_type")
    if kind is not None and other is not None and kind != other:
        raise InvalidInputError("event_type", other, f"It contradicts type, {kind!r}; give one of the two.")
    return other if kind is None else kind


def _data(kind: EventType, sent: Any) -> dict[str, Any]:
    known = _RULES[kind]
    data = {}
    for name, value in _object("data", sent).items():
        rule = known.get(name)
        if rule is None:
            data[rules.name("data", name)] = rules.anything(f"data.{name}", value)
        elif value is not None:
            data[name] = rule[1](rule[0], value)
    there = data.keys()
    for row in rules.NEEDED[kind]:
        for needed in row:
            if needed <= there:
                break
        else:
            wanted = [" with ".join(sorted(needed)) for needed in row]
            raise InvalidInputError(f"data.{min(row[0])}", None, f"Give {', or '.join(wanted)}.")
    return data


def _object(field: str, sent: Any) -> Mapping[str, Any]:
    if type(sent) is dict or isinstance(sent, Mapping):  # asking an abstract class takes longer than all else here
        return sent
    raise InvalidInputError(field, sent, "Give an object.")


def _written(field: str, value: Mapping[str, Any], limits: Limits) -> str:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if len(text) > limits.event_bytes:
        raise InvalidInputError(
            field, text[:100].decode(errors="replace"), f"Give at most {limits.event_bytes:,} bytes as JSON."
        )
    return text.decode()


def _time(sent: Any, now: datetime, limits: Limits) -> datetime:
    found = rules.time("event_time", sent)
    if found > now + limits.skew:
        ahead = limits.skew.total_seconds()
        raise InvalidInputError(
            "event_time", sent, f"It lies in the future: at most {ahead:g} s ahead of {now:%FT%TZ}."
        )
    if found < now - limits.late:
        raise InvalidInputError("event_time", sent, f"It is too old: at most {limits.late.days} days may have passed.")
    return found


def _name(sent: Any, key: str | None) -> str:
    if sent is not None:
        return rules.identifier("event_id", sent)
    if key is None:
        return uuid.uuid4().hex
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:32]}"  # so that a retry names the same event
