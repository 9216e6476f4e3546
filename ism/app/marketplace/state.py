"""How far the connector is: kept in the store, moved by one process at a time, so that it goes on where it was cut off.

Each piece of work is written before the state that says so. What is done again after a crash does the same once: rows
that did not change are not written, events and matches have identifiers of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ism.domain.errors import ConflictError

if TYPE_CHECKING:
    from ism.storage.marketplace_base import MarketplaceStore

MOST_SKIPPED = 200  # rows of a table that are remembered and tried again each time


@dataclass
class Place:
    """How far a table was read.

    Attributes:
        changed: time of change up to which all was read, as the marketplace wrote it.
        at: time of change and identifier behind which a reading of changes that was cut off goes on.
        floor: where it was first cut off: what is written late behind it is not seen, so the next one begins there.
        whole_after: identifier behind which a reading of the whole table goes on; None where none is under way.
        whole_mark: ``changed`` at the beginning of it.
        whole_at: when the whole was last begun, ISO 8601.
        sweep_due: whether deleted rows are to be looked for, as the whole was read.
        swept_at: when they were last looked for, ISO 8601.
        skipped: row that could not be used -> why; tried again each time.
        unused: how many more there are that are tried again with the whole table only.
    """

    changed: str | None = None
    at: list[str] | None = None
    floor: str | None = None
    whole_after: str | None = None
    whole_mark: str | None = None
    whole_at: str | None = None
    sweep_due: bool = False
    swept_at: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    unused: int = 0

    def skip(self, identifier: str, reason: str) -> None:
        """Remember a row that cannot be used."""
        if identifier in self.skipped or len(self.skipped) < MOST_SKIPPED:
            self.skipped[identifier] = reason[:300]
        else:
            self.unused += 1


@dataclass
class State:
    """All of it.

    Attributes:
        marketplace: digest of address and mapping; with another one, everything is read again.
        owner: the process that moves the state, until ``until`` (ISO 8601).
        read: tables that were read before an exchange ran out of time: the next one reads the others.
        shown_at, shown_id: the last request whose matches were written.
    """

    marketplace: str = ""
    owner: str = ""
    until: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    shown_at: str = ""
    shown_id: str = ""

    @classmethod
    def of(cls, stored: dict[str, Any]) -> State:
        """As it was stored; what is not known any more is left out."""
        known = {each.name for each in fields(cls)}
        state = cls(**{name: value for name, value in stored.items() if name in known and name != "places"})
        known = {each.name for each in fields(Place)}
        for name, place in stored.get("places", {}).items():
            state.places[name] = Place(**{key: value for key, value in place.items() if key in known})
        return state


class Journal:
    """Moves the state.

    Args:
        store: keeps it.
        owner: this process.
        lease: after which another process may take over; longer than between two calls of `renew`.
        clock: says what time it is, in UTC.

    Attributes:
        state: as it is wanted; `save` keeps it.
    """

    def __init__(self, store: MarketplaceStore, owner: str, lease: timedelta, clock: Callable[[], datetime]) -> None:
        self._store, self._owner, self._lease, self._clock = store, owner, lease, clock
        self._kept = store.marketplace_state()
        self.state = State.of(self._kept)

    def begin(self, marketplace: str) -> None:
        """Take the state for this process.

        Raises:
            ConflictError: another process has it.
        """
        state = self.state
        if state.owner not in {"", self._owner} and state.until > self._clock().isoformat():
            raise ConflictError("Another process exchanges data with the marketplace. Wait until it has ended.")
        if state.marketplace != marketplace:
            self.state = state = State(marketplace)
        state.owner = self._owner
        self.save()

    def save(self) -> None:
        """Keep the state; ConflictError where another process took it over."""
        self.state.until = (self._clock() + self._lease).isoformat()
        after = asdict(self.state)
        self._store.move_marketplace(self._kept, after)
        self._kept = after

    def renew(self) -> None:
        """Keep the lease; ConflictError as in `save`."""
        if datetime.fromisoformat(self.state.until) - self._clock() < self._lease / 2:
            self.save()

    def end(self) -> None:
        """Let others have it."""
        self.state.owner = ""
        self.save()
