"""Finds rows that were deleted from a marketplace: those that we have and it does not, asked for by identifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ism.app.marketplace.mapping import Mapping, Source
from ism.app.marketplace.postgrest import MOST_LISTED, PostgRest
from ism.app.marketplace.reading import fetch
from ism.app.marketplace.state import Journal, Place
from ism.app.marketplace.taking import DATASET
from ism.domain.market import Company, Exchange, Listing

if TYPE_CHECKING:
    from ism.storage import Store

_LEAST = 20  # rows of which all may go


@dataclass(slots=True)
class Sweeper:
    """Removes what was deleted, after whole tables were read.

    Where more than half of what is stored would go, nothing does: an empty answer is more likely a mistake (a wrong
    project, a policy that hides rows) than the end of a market.

    Args:
        store: the market.
        client: of the marketplace.
        journal: keeps how far it is.
        allow_deletions: whether more than half may go.

    Attributes:
        notes: what was left, for people.
    """

    store: Store
    client: PostgRest
    journal: Journal
    allow_deletions: bool
    notes: list[str] = field(default_factory=list)

    def sweep(self, mapping: Mapping, now: datetime, pause: Callable[[], None]) -> int:
        """Look for deleted rows of tables that were just read whole; how many were removed."""
        removed = 0
        kinds: list[tuple[str, type[Any], Source | None]] = [
            ("exchanges", Exchange, mapping.exchanges),
            ("materials", Listing, mapping.materials),
            ("companies", Company, mapping.companies),
        ]  # what refers to others comes before them
        for name, kind, source in kinds:
            place = self.journal.state.places.get(name)
            if source is not None and place is not None and place.sweep_due:
                removed += self._table(kind, source, place, pause)
                place.swept_at = now.isoformat()
                self.journal.save()
        return removed

    def _table(self, kind: type[Any], source: Source, place: Place, pause: Callable[[], None]) -> int:
        gone = self._gone(kind, source, pause)
        total = self.store.count(kind, {"dataset": DATASET})
        if len(gone) > max(total / 2, _LEAST) and not self.allow_deletions:
            self.notes.append(
                f"{source.table}: {len(gone)} of {total} rows are not there any more. None was removed; if they were "
                "really deleted, run `ism sync --allow-deletions`."
            )
            return 0
        place.sweep_due = False
        return self.store.marketplace.discard(kind, gone, DATASET)

    def _gone(self, kind: type[Any], source: Source, pause: Callable[[], None]) -> list[str]:
        key, after, gone = next(iter(kind.__dataclass_fields__)), None, []
        while True:
            page = self.store.page(kind, after=after, limit=MOST_LISTED, where={"dataset": DATASET})
            wanted = [str(getattr(value, key)) for value in page.items]
            if wanted:
                pause()
                there = fetch(self.client, source, wanted, {"id": source.id})
                gone += [each for each in wanted if each not in there]
            after = page.after
            if after is None:
                return gone
