"""What was shown, API keys, sessions and settings: functions on an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, insert, select, update

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.market import Recommendation
from ism.storage import schema
from ism.storage.base import ROLES, ApiKey, WebSession
from ism.storage.dialects import upsert
from ism.storage.rows import (
    Row,
    as_json,
    check_choice,
    check_identifier,
    check_number,
    check_text,
    check_time,
    utc_now,
)
from ism.storage.session_schema import session

_SHARED = ("offer", "model_versions", "created_at")
_MOST_PARAMETERS = 10_000  # a statement may have 32,766 on SQLite
_UNIT = check_number(schema.UNIT, "a share of 1")
_RECEIVER_KIND = check_choice(schema.RECEIVER_KINDS)
_ROLE = check_choice(ROLES)


def log(connection: Connection, recommendations: Sequence[Recommendation]) -> None:
    """Append requests and their recommendations."""
    requests: dict[str, Row] = {}
    rows = []
    now = utc_now()
    for item in recommendations:
        shared = _request_row(item, now)
        first = requests.setdefault(item.request_id, shared)
        for name in _SHARED:
            if first[name] != shared[name]:
                remedy = f"It must be the same throughout request {item.request_id!r}."
                raise InvalidInputError(name, getattr(item, name), remedy)
        rows.append(_recommendation_row(item))
    _refuse_taken(connection, schema.request, list(requests))
    _refuse_taken(connection, schema.recommendation, [row["recommendation_id"] for row in rows])
    connection.execute(insert(schema.request), list(requests.values()))
    connection.execute(insert(schema.recommendation), rows)


def one_recommendation(connection: Connection, recommendation_id: str) -> Recommendation:
    """One recommendation, or NotFoundError."""
    check_text("recommendation_id", recommendation_id)
    row = connection.execute(
        _recommendations().where(schema.recommendation.c.recommendation_id == recommendation_id)
    ).first()
    if row is None:
        raise NotFoundError("recommendation", recommendation_id)
    return Recommendation(**row._mapping)


def of_request(connection: Connection, request_id: str) -> list[Recommendation]:
    """A request's recommendations by rank, or NotFoundError."""
    check_text("request_id", request_id)
    table = schema.recommendation
    rows = connection.execute(_recommendations().where(table.c.request_id == request_id).order_by(table.c.rank)).all()
    if not rows:
        raise NotFoundError("request", request_id)
    return [Recommendation(**row._mapping) for row in rows]


def add_key(connection: Connection, key: ApiKey) -> None:
    """Insert an API key."""
    check_identifier("key_id", key.key_id)
    check_text("name", key.name)
    _ROLE("role", key.role)
    check_identifier("key_hash", key.key_hash)
    check_time("created_at", key.created_at)
    if key.revoked_at is not None:
        check_time("revoked_at", key.revoked_at)
    _refuse_taken(connection, schema.api_key, [key.key_id])
    connection.execute(
        insert(schema.api_key).values({name: getattr(key, name) for name in ApiKey.__dataclass_fields__})
    )


def one_key(connection: Connection, key_id: str) -> ApiKey:
    """One API key, or NotFoundError."""
    check_text("key_id", key_id)
    row = connection.execute(_keys().where(schema.api_key.c.key_id == key_id)).first()
    if row is None:
        raise NotFoundError("API key", key_id)
    return ApiKey(*row)


def all_keys(connection: Connection) -> list[ApiKey]:
    """All API keys."""
    return [ApiKey(*row) for row in connection.execute(_keys().order_by(schema.api_key.c.key_id))]


def revoke_key(connection: Connection, key_id: str, at: datetime) -> ApiKey:
    """Set ``revoked_at`` unless it is set."""
    check_time("at", at)
    table = schema.api_key
    one_key(connection, key_id)
    unrevoked = (table.c.key_id == key_id, table.c.revoked_at.is_(None))
    connection.execute(update(table).where(*unrevoked).values(revoked_at=at))
    return one_key(connection, key_id)


def add_session(connection: Connection, kept: WebSession, ended_before: datetime) -> None:
    """Insert a session; those that began before a time go."""
    check_identifier("digest", kept.digest)
    check_text("name", kept.name)
    _ROLE("role", kept.role)
    check_time("began_at", kept.began_at)
    check_time("seen_at", kept.seen_at)
    check_time("ended_before", ended_before)
    connection.execute(delete(session).where(session.c.began_at < ended_before))
    _refuse_taken(connection, session, [kept.digest])
    connection.execute(insert(session).values({name: getattr(kept, name) for name in WebSession.__dataclass_fields__}))


def one_session(connection: Connection, digest: str) -> WebSession:
    """One session, or NotFoundError."""
    check_text("digest", digest)
    columns = (session.c[name] for name in WebSession.__dataclass_fields__)
    row = connection.execute(select(*columns).where(session.c.digest == digest)).first()
    if row is None:
        raise NotFoundError("session", digest)
    return WebSession(*row)


def see_session(connection: Connection, digest: str, at: datetime) -> None:
    """Set ``seen_at`` where there is such a session."""
    check_time("at", at)
    connection.execute(update(session).where(session.c.digest == digest).values(seen_at=at))


def end_sessions(connection: Connection, digest: str | None) -> None:
    """Remove one session, or all."""
    statement = delete(session)
    connection.execute(statement if digest is None else statement.where(session.c.digest == digest))


def one_setting(connection: Connection, key: str, default: object) -> object:
    """A setting's value, or the default."""
    check_text("key", key)
    row = connection.execute(select(schema.setting.c.value).where(schema.setting.c.key == key)).first()
    return default if row is None else row[0]


def put_setting(connection: Connection, key: str, value: object) -> None:
    """Create or replace a setting."""
    check_identifier("key", key)
    row = {"key": key, "value": as_json("value", value), "updated_at": utc_now()}
    connection.execute(upsert(connection, schema.setting, ()), [row])


def _request_row(item: Recommendation, now: datetime) -> Row:
    check_identifier("request_id", item.request_id)
    if item.created_at is not None:
        check_time("created_at", item.created_at)
    offer_id = item.offer.get("offer_id")
    if offer_id is not None:
        check_identifier("offer.offer_id", offer_id)
    return {
        "request_id": item.request_id,
        "offer_id": offer_id,
        "offer": as_json("offer", item.offer),
        "model_versions": as_json("model_versions", item.model_versions),
        "created_at": item.created_at or now,
    }


def _recommendation_row(item: Recommendation) -> Row:
    check_identifier("recommendation_id", item.recommendation_id)
    check_identifier("receiver_id", item.receiver_id)
    _RECEIVER_KIND("receiver_kind", item.receiver_kind)
    if not isinstance(item.rank, int) or isinstance(item.rank, bool) or not 1 <= item.rank < 2**31:
        raise InvalidInputError("rank", item.rank, "Give a whole number from 1 on.")
    for name in ("final_score", "confidence", "propensity"):
        _UNIT(name, getattr(item, name))
    row = {name: getattr(item, name) for name in Recommendation.__dataclass_fields__ if name not in _SHARED}
    row["engine_scores"] = as_json("engine_scores", item.engine_scores)
    return row


def _recommendations() -> Select[Any]:
    columns = [
        schema.request.c[name] if name in _SHARED else schema.recommendation.c[name]
        for name in Recommendation.__dataclass_fields__
    ]
    return select(*columns).join_from(schema.recommendation, schema.request)


def _keys() -> Select[Any]:
    return select(*(schema.api_key.c[name] for name in ApiKey.__dataclass_fields__))


def _refuse_taken(connection: Connection, table: Table, identifiers: list[str]) -> None:
    key = next(iter(table.primary_key))
    for start in range(0, len(identifiers), _MOST_PARAMETERS):
        some = identifiers[start : start + _MOST_PARAMETERS]
        taken = connection.scalar(select(key).where(key.in_(some)).order_by(key).limit(1))
        if taken is not None:
            raise ConflictError(f"{key.name}: {taken!r} is stored already. Choose another one.")
