"""One exchange with a marketplace: read what changed, match what is new, write what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ism.app.marketplace.checking import Checked
from ism.app.marketplace.mapping import Mapping
from ism.app.marketplace.outcomes import Attribution
from ism.app.marketplace.postgrest import EndedError, PostgRest
from ism.app.marketplace.reading import OutOfTimeError, TableReader
from ism.app.marketplace.state import Journal
from ism.app.marketplace.sweeping import Sweeper
from ism.app.marketplace.taking import DATASET, Taker

if TYPE_CHECKING:
    from ism.app.marketplace.writing import Writer
    from ism.domain.market import Offer
    from ism.settings import Settings
    from ism.storage import Store

_MOST_NOTES = 20
_OFFERS = 50  # that are looked up at once


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the connector works with.

    Attributes:
        settings: every knob.
        store: the market; is not closed.
        tell: hands events to feedback, and returns what became of each.
        feedback_open: whether feedback is taken in.
        match: matches an offer and logs the answer.
        offer_of: a listing as an offer.
        can_match: whether matches are answered now.
        clock: says what time it is, in UTC.
    """

    settings: Settings
    store: Store
    tell: Callable[[Sequence[dict[str, Any]]], Any]
    feedback_open: Callable[[], bool]
    match: Callable[[Offer, int], object]
    offer_of: Callable[[str], Offer]
    can_match: Callable[[], bool]
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What one exchange did.

    Attributes:
        began_at: ISO 8601, UTC.
        seconds: how long it took.
        finished: whether everything there was to do was done; else the next one goes on.
        counts: what happened, without zeros: ``written`` and ``removed`` values of the market, ``events`` taken in,
            ``matched`` offers, ``matches_sent`` and ``events_sent`` rows.
        skipped: rows that could not be used, by table: identifier -> why.
        notes: what was left out, or could be better, for people.
    """

    began_at: str
    seconds: float
    finished: bool
    counts: dict[str, int]
    skipped: dict[str, dict[str, str]]
    notes: list[str]


@dataclass(slots=True)
class Exchange:
    """One exchange; it may end anywhere, and the next one goes on from there.

    Args:
        around: what it works with.
        mapping: of tables, columns and words.
        checked: that the marketplace fits it.
        client: of the marketplace.
        journal: this process has it.
        writer: writes to the marketplace; remembers what it sent.
        ending: ends it early.
        allow_deletions: whether more than half of what is stored may be removed as deleted.
    """

    around: Surroundings
    mapping: Mapping
    checked: Checked
    client: PostgRest
    journal: Journal
    writer: Writer
    ending: threading.Event
    allow_deletions: bool
    _counts: Counter[str] = field(default_factory=Counter)
    _notes: list[str] = field(default_factory=list)
    _ends: float = 0.0  # monotonic seconds

    def run(self) -> Exchanged:
        """Do what there is to do, within the time that settings give.

        Raises:
            MarketplaceError: the marketplace does not answer, or refuses.
            StorageError: the store cannot be read or written.
            ConflictError: another process took over.
        """
        began, started = self.around.clock(), time.monotonic()
        self._ends = started + self.around.settings.marketplace_run_s
        read, self.journal.state.read = self.journal.state.read, []
        try:
            self._read(began, read)
            self._match(began)
            self._write()
            finished = True
        except OutOfTimeError:
            self.journal.state.read, finished = read, False
        places = self.journal.state.places
        return Exchanged(
            began.isoformat(),
            round(time.monotonic() - started, 3),
            finished,
            dict(+self._counts),
            {name: dict(place.skipped) for name, place in places.items() if place.skipped},
            [*self.checked.notes(), *self._notes],
        )

    def _read(self, began: datetime, read: list[str]) -> None:
        """Read tables but those that are ``read``, and note them there."""
        settings, store = self.around.settings, self.around.store
        is_open = self.around.feedback_open()
        window, late = timedelta(days=settings.feedback_join_days), timedelta(days=settings.feedback_late_days)
        about = Attribution(store.feedback, window, late, began)
        taker = Taker(store, self.client, self.mapping, about, self.around.tell if is_open else None)
        sweeper = Sweeper(store, self.client, self.journal, self.allow_deletions)
        whole = timedelta(hours=settings.marketplace_whole_hours)
        overlap = timedelta(seconds=settings.marketplace_overlap_s)
        try:
            for reader in self._readers(taker):
                if reader.name in read or (reader.name == "matches" and not is_open):  # it waits for feedback
                    continue
                reader.read(began, whole, overlap)
                read.append(reader.name)
            self._counts["removed"] += sweeper.sweep(self.mapping, began, self._pause)
        finally:
            self._counts.update(taker.counts)
            self._notes += sweeper.notes
            self._notes += [f"{note} ({count} rows)." for note, count in taker.notes.most_common(_MOST_NOTES)]

    def _readers(self, taker: Taker) -> list[TableReader]:
        takes = {
            "companies": taker.companies,
            "materials": taker.materials,
            "exchanges": taker.exchanges,
            "matches": taker.matches,
        }
        rows, timeless = self.around.settings.marketplace_page_rows, self.checked.timeless
        return [
            TableReader(
                self.client,
                self.journal,
                name,
                source,
                source.changed is not None and source.table not in timeless,
                rows,
                takes[name],
                self._pause,
            )
            for name, source in self.mapping.sources().items()
        ]

    def _match(self, began: datetime) -> None:
        """Match every offer that is new or changed, or was not matched for long."""
        around = self.around
        if self.mapping.write_matches is None:
            return
        if not around.can_match():
            self._notes.append("Offers are matched once the engines have started.")
            return
        since = began - timedelta(days=around.settings.marketplace_match_days)
        after = None
        try:
            while found := around.store.marketplace.unanswered(DATASET, since, after, _OFFERS):
                for _, listing_id in found:
                    self._pause()
                    around.match(around.offer_of(listing_id), around.settings.marketplace_top)
                    self._counts["matched"] += 1
                after = found[-1]
        except OutOfTimeError:
            self._ends = time.monotonic() + around.settings.marketplace_run_s
            self._write()  # what was matched is shown though there is no time for more
            raise

    def _write(self) -> None:
        overlap = timedelta(seconds=self.around.settings.marketplace_overlap_s)
        if self.mapping.write_matches is not None:
            sent = self.writer.matches(self.mapping.write_matches, self.client, self.journal, overlap, self._pause)
            self._counts["matches_sent"] += sent
        if self.mapping.write_events is not None:
            self._counts["events_sent"] += self.writer.events(self.mapping.write_events, self.client, self._pause)

    def _pause(self) -> None:
        """Between two pieces of work."""
        if self.ending.is_set():
            raise EndedError("The exchange with the marketplace was ended.")
        if time.monotonic() > self._ends:
            raise OutOfTimeError
        self.journal.renew()
