"""Reads tables of a marketplace: what changed since the last time, and from time to time the whole.

A table with a time of change is read in its order from where the last reading ended, less an overlap: a transaction
writes its rows with the time of its beginning, and shows them at its end. Reading the whole, in order of identifier,
also finds what the time of change does not tell; a sweep after it finds what was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ism.app.marketplace.checking import selected
from ism.app.marketplace.mapping import Source
from ism.app.marketplace.postgrest import MOST_LISTED, Filters, PostgRest, Row, listed, quoted
from ism.app.marketplace.state import Journal, Place
from ism.app.marketplace.values import identifier, moment
from ism.domain.errors import ConfigurationError, InvalidInputError

Take = Callable[[list[Row], Place], None]  # makes use of rows; notes those that cannot be used in the place


class OutOfTimeError(Exception):
    """The time of one exchange is over; the next one goes on."""


@dataclass(slots=True)
class TableReader:
    """Reads one table.

    Args:
        client: of the marketplace.
        journal: keeps how far it is.
        name: of its place in the journal.
        source: its mapping.
        timed: whether it has a time of change.
        rows: most rows of a request.
        take: makes use of rows; is handed the same ones again after a crash.
        pause: called between requests; raises where it is to end.
    """

    client: PostgRest
    journal: Journal
    name: str
    source: Source
    timed: bool
    rows: int
    take: Take
    pause: Callable[[], None]

    @property
    def place(self) -> Place:
        """How far it is."""
        return self.journal.state.places.setdefault(self.name, Place())

    def read(self, now: datetime, whole: timedelta, overlap: timedelta) -> bool:
        """Read what is due; whether that was the whole table.

        Args:
            now: the time.
            whole: between two readings of the whole.
            overlap: how long a transaction of the marketplace may take.
        """
        self._try_skipped()
        begun = moment(self.place.whole_at)
        due = self.place.whole_after is not None or begun is None or now - begun >= whole
        if due or not self.timed:
            self._read_whole(now)
            swept = moment(self.place.swept_at)
            self.place.sweep_due = self.place.sweep_due or swept is None or now - swept >= whole
            self.journal.save()
            return True
        self._read_changes(overlap)
        return False

    def _read_whole(self, now: datetime) -> None:
        place = self.place
        if place.whole_after is None:
            place.whole_at, place.whole_after, place.whole_mark = now.isoformat(), "", self._latest()
            place.skipped, place.unused = {}, 0
            self.journal.save()
        column = self.source.id
        while True:
            behind = [(column, f"gt.{place.whole_after}")] if place.whole_after else []
            rows = self._rows(behind, f"{column}.asc")
            if not rows:
                break
            self.take(rows, place)
            place.whole_after = str(rows[-1]["id"])
            self.journal.save()
        place.changed, place.whole_after, place.whole_mark = place.whole_mark, None, None
        place.at = place.floor = None

    def _read_changes(self, overlap: timedelta) -> None:
        place, order = self.place, f"{self.source.changed}.asc,{self.source.id}.asc"
        if place.at is not None:
            place.floor = place.floor or place.at[0]
        while rows := self._rows([self._behind(overlap)], order):
            self.take(rows, place)
            place.at = [str(rows[-1]["changed"]), str(rows[-1]["id"])]
            self.journal.save()
        if place.at is not None:
            place.changed, place.at, place.floor = place.floor or place.at[0], None, None
            self.journal.save()

    def _behind(self, overlap: timedelta) -> tuple[str, str]:
        """The filter for what comes next in the order of changes; what has no time yet is found by the whole."""
        place, changed = self.place, str(self.source.changed)
        if place.at is not None:
            told, identified = map(quoted, place.at)
            return "or", f"({changed}.gt.{told},and({changed}.eq.{told},{self.source.id}.gt.{identified}))"
        since = moment(place.changed)
        return changed, f"gte.{(since - overlap).isoformat()}" if since is not None else "not.is.null"

    def _try_skipped(self) -> None:
        place = self.place
        if place.skipped:
            self.pause()
            rows = fetch(self.client, self.source, list(place.skipped), self._columns)
            place.skipped = {}
            self.take(list(rows.values()), place)
            self.journal.save()

    def _latest(self) -> str | None:
        """The latest time of change."""
        if not self.timed:
            return None
        changed = str(self.source.changed)
        found = self.client.select(
            self.source.table, {"changed": changed}, [(changed, "not.is.null")], f"{changed}.desc", 1
        )
        if not found:
            return None
        if moment(found[0]["changed"]) is None:
            raise ConfigurationError(
                f"{self.source.table}.{changed} is no time: name a timestamptz column as changed, or null."
            )
        return str(found[0]["changed"])

    def _rows(self, filters: Filters, order: str | None = None) -> list[Row]:
        self.pause()
        return self.client.select(self.source.table, self._columns, filters, order, self.rows)

    @property
    def _columns(self) -> dict[str, str]:
        return selected(self.source, self.source.changed if self.timed else None)


def fetch(
    client: PostgRest, source: Source, identifiers: Sequence[str], columns: Mapping[str, str] | None = None
) -> dict[str, Row]:
    """Rows of a table by identifier, as far as they are there; ``columns`` always hold ``id``, all by default."""
    found: dict[str, Row] = {}
    every = list(dict.fromkeys(identifiers))
    for start in range(0, len(every), MOST_LISTED):
        wanted = every[start : start + MOST_LISTED]
        while wanted:  # a server may answer with fewer rows than it has
            filters = [(source.id, listed(wanted))]
            rows = client.select(source.table, columns or selected(source, None), filters, limit=MOST_LISTED)
            found.update({str(row["id"]): row for row in rows})
            wanted = [each for each in wanted if each not in found] if rows else []
    return found


def name_of(row: Row) -> str:
    """A row's identifier, for lists of what could not be used; a text in any case."""
    try:
        return identifier("id", row.get("id"))
    except InvalidInputError:
        return repr(row.get("id"))[:100]
