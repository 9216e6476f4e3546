"""When a weekly moment in local time falls, also in weeks with 23 or 25-hour days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from ism.domain.errors import ConfigurationError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Weekly:
    """Once a week at a time on a wall clock.

    Attributes:
        weekday: 0 for Monday.
        at: time of day, local.
        zone: IANA name; the machine's own zone when empty.
    """

    weekday: int = 0
    at: time = time(2)
    zone: str = ""

    def latest(self, now: datetime) -> datetime:
        """The last such moment that is not after ``now``, in UTC.

        A time that the clocks jump over counts from the moment of the jump; one that comes twice counts the first time.

        Example:
            >>> Weekly(zone="Europe/Berlin").latest(datetime(2026, 3, 30, 1, tzinfo=UTC)).isoformat()
            '2026-03-30T00:00:00+00:00'
        """
        zone = self._zone()
        local = now.astimezone(zone)
        day = (local - timedelta(days=(local.weekday() - self.weekday) % 7)).date()
        found = _instant(datetime.combine(day, self.at), zone)
        return found if found <= now else _instant(datetime.combine(day - timedelta(days=7), self.at), zone)

    def next(self, now: datetime) -> datetime:
        """The first such moment after ``now``, in UTC."""
        zone = self._zone()
        day = self.latest(now).astimezone(zone).date() + timedelta(days=7)
        return _instant(datetime.combine(day, self.at), zone)

    def _zone(self) -> tzinfo | None:
        return zone_of(self.zone)


def zone_of(name: str) -> tzinfo | None:
    """A time zone by its IANA name; None, which means the machine's own, where the name is empty.

    Raises:
        ConfigurationError: there is no such zone.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"schedule_zone: {name!r} is no time zone. Give an IANA name such as Europe/Berlin, or leave it empty."
        ) from error


def _instant(wall: datetime, zone: tzinfo | None) -> datetime:
    """What a wall clock shows, as a moment in UTC."""
    moment = (wall.astimezone() if zone is None else wall.replace(tzinfo=zone)).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    # The clocks jumped over it. Just before the jump they lag by its length, so that the offset after it tells when.
    before, after = moment - timedelta(days=1), moment + timedelta(days=1)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        before, after = (middle, after) if middle.astimezone(zone).replace(tzinfo=None) < wall else (before, middle)
    return after.replace(microsecond=0)
