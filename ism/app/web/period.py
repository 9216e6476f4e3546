"""The time that a page looks at, as its address says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ism.domain.errors import InvalidInputError

CHOICES = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}
DEFAULT = "30d"
_LENGTH = re.compile(r"([1-9]\d{0,4})(h|d)")
_MOST = timedelta(days=400)  # as long as anything is kept


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` up to ``end``, aware times in UTC; ``name`` is how the address says it, or empty."""

    start: datetime
    end: datetime
    name: str

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    @property
    def hours(self) -> int:
        """Whole hours, at least one."""
        return max(1, round(self.length / timedelta(hours=1)))

    @property
    def given(self) -> dict[str, str]:
        """As parameters of an address."""
        if self.name:
            return {"range": self.name}
        return {"from": self.start.isoformat(), "to": self.end.isoformat()}

    @property
    def label(self) -> str:
        """For people."""
        if self.name:
            return f"last {CHOICES.get(self.name, self.name)}"
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"

    def bucket(self, most: int = 90) -> timedelta:
        """Length of a step, so that there are at most ``most``: an hour, or whole days."""
        if self.length <= timedelta(hours=most):
            return timedelta(hours=1)
        return timedelta(days=max(1, -(-self.length // timedelta(days=most))))


def read_period(given: Mapping[str, str], now: datetime) -> Period:
    """The period of an address: ``range`` (``24h``, ``30d``), or ``from`` and ``to`` (ISO 8601).

    Raises:
        InvalidInputError: it cannot be read; names the parameter.
    """
    if "from" in given or "to" in given:
        end = _moment("to", given["to"]) if "to" in given else now
        start = _moment("from", given["from"]) if "from" in given else end - timedelta(days=30)
        if not timedelta(0) < end - start <= _MOST:
            raise InvalidInputError("from", given.get("from", ""), "Give a time before `to`, by 400 days at most.")
        return Period(start, end, "")
    name = given.get("range", DEFAULT)
    match = _LENGTH.fullmatch(name)
    length = None if match is None else timedelta(**{"hours" if match[2] == "h" else "days": int(match[1])})
    if length is None or length > _MOST:
        raise InvalidInputError("range", name, "Give hours or days up to 400 days, such as 24h or 30d.")
    return Period(now - length, now, name)


def _moment(field: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(field, text, "Give a time in ISO 8601, such as 2026-03-01T00:00:00Z.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
