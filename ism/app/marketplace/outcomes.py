"""What a marketplace knows about matches, as feedback events.

An event is named after the row and what the row says, so that it counts once however often the row is read. An outcome
of a pair that was never shown, or was shown too long ago, says nothing about this system and is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from ism.app.marketplace.mapping import Exchanges, Matches, Materials
from ism.app.marketplace.postgrest import Row
from ism.app.marketplace.values import identifier, moment, tonnes
from ism.domain.errors import InvalidInputError
from ism.storage.feedback import FeedbackStore

Event = dict[str, Any]
_LONGEST = 200  # characters of an event's identifier
_TEXTS = ("comment", "feedback", "text")
_ACTORS = ("actor_id", "user_id")


class Attribution:
    """Which outcomes can be about something that was shown.

    Args:
        feedback: knows what was shown.
        window: how long after being shown an outcome counts.
        late: how long after it happened it is still taken in.
        now: the time.
    """

    def __init__(self, feedback: FeedbackStore, window: timedelta, late: timedelta, now: datetime) -> None:
        self._feedback, self._window, self._late, self._now = feedback, window, late, now

    def when(self, offer_id: str, receiver_id: str, told: datetime | None) -> datetime | None:
        """The time at which it may be said to have happened; None where it is not about anything shown."""
        happened = min(told or self._now, self._now)
        if happened < self._now - self._late:
            return None
        found = self._feedback.last_shown(offer_id, receiver_id, happened)
        return happened if found is not None and happened - found[1] <= self._window else None


def of_match(row: Row, mapping: Matches, offers: Collection[str], about: Attribution) -> list[Event]:
    """Events of a row of matches.

    Args:
        row: field of the mapping -> value.
        mapping: its words.
        offers: identifiers of materials that are, or were, offered.
        about: what can be attributed.

    Raises:
        InvalidInputError: an identifier cannot be used.
    """
    pair = _pair(row, offers)
    if pair is None:
        return []
    row_id, changed = identifier("matches.id", row.get("id")), moment(row.get("changed"))
    when = about.when(*pair, changed)
    if when is None:
        return []
    events = []
    outcome = mapping.outcomes.get(str(row.get("status")).strip().casefold())
    if outcome is not None:
        events.append(_outcome(f"{mapping.table}:{row_id}:{outcome}", outcome, pair, when))
    said = _said(row.get("user_feedback"))
    if said:
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
        events.append({
            "event_id": _event_id(f"{mapping.table}:{row_id}:feedback:{digest}"),
            "type": "user_feedback",
            "source": "external",
            "event_time": when.isoformat(),
            "data": {"offer_id": pair[0], "receiver_id": pair[1], **said},
        })  # fmt: skip
    return events


def of_exchange(
    row: Row, material: Row | None, mapping: Exchanges, materials: Materials, about: Attribution
) -> list[Event]:
    """Events of a row of exchanges; errors as in `of_match`."""
    outcome = mapping.outcomes.get(str(row.get("status")).strip().casefold())
    if outcome is None:
        return []
    row_id = identifier("exchanges.id", row.get("id"))
    pair = (
        identifier("exchanges.material_id", row.get("material_id")),
        identifier("exchanges.to_company_id", row.get("to_company_id")),
    )
    when = about.when(*pair, moment(row.get("delivered_at")) or moment(row.get("changed")))
    if when is None:
        return []
    event = _outcome(f"{mapping.table}:{row_id}:{outcome}", outcome, pair, when)
    amount = tonnes(row, material, materials)
    if amount is not None and outcome == "delivered":
        event["data"]["tonnes"] = amount
    return [event]


def materials_of(row: Row) -> list[str]:
    """Identifiers of the materials that a row of matches names."""
    return [str(row[name]) for name in ("material_a_id", "material_b_id") if row.get(name) is not None]


def _pair(row: Row, offers: Collection[str]) -> tuple[str, str] | None:
    """Offer and receiver: whichever side's material is an offer was matched to the other company."""
    for side, other in (("a", "b"), ("b", "a")):
        material = row.get(f"material_{side}_id")
        if material is not None and str(material) in offers:
            return str(material), identifier(f"matches.company_{other}_id", row.get(f"company_{other}_id"))
    return None


def _outcome(name: str, outcome: str, pair: tuple[str, str], when: datetime) -> Event:
    return {
        "event_id": _event_id(name),
        "type": "match_outcome",
        "source": "external",
        "event_time": when.isoformat(),
        "data": {"outcome": outcome, "offer_id": pair[0], "receiver_id": pair[1]},
    }


def _said(value: object) -> dict[str, Any]:
    """Rating, words and author of a JSON object, as far as they can be used."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(value, dict):
        return {}
    said: dict[str, Any] = {}
    rating = value.get("rating")
    if isinstance(rating, int | float) and not isinstance(rating, bool) and rating in {1, 2, 3, 4, 5}:
        said["rating"] = int(rating)
    text = next((value[name] for name in _TEXTS if isinstance(value.get(name), str) and value[name].strip()), None)
    if text is not None:
        said["feedback"] = text.replace("\0", "")[:10_000]
    if not said:
        return {}
    for name in _ACTORS:
        try:
            return {**said, "actor_id": identifier(name, value.get(name))}
        except InvalidInputError:
            continue
    return said


def _event_id(name: str) -> str:
    told = f"marketplace:{name}"
    return told if len(told) <= _LONGEST else f"marketplace:{hashlib.sha256(told.encode()).hexdigest()}"
