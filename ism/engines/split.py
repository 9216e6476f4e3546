"""What happened, cut in time: what may be learnt from, and apart from it what only the gate may see.

There is a gap for maturing. With the moment ``as_of``, the maturity ``m`` and a ``cutoff``:

- *train*: known at the cutoff. What nobody has dated counts as known.
- *fresh*: happened after the cutoff, and ``m`` before ``as_of`` at the latest. What is younger may yet come to an
  outcome: it is censored, not negative, and waits.
- *gap*: the rest; and new exchanges of partners that the training part knows already, which say nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ism.data.build import BuiltMarket, build_market
from ism.data.text import TextEncoder
from ism.domain.errors import InvalidInputError
from ism.engines.base import Snapshot
from ism.engines.evidence import Evidence, EvidenceSource

PARTS = TRAIN, FRESH, GAP = "train", "fresh", "gap"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Where time is cut.

    Attributes:
        as_of: the moment that the snapshot shows.
        maturity_days: how long an outcome takes to be known, days.
        fresh_share: of the matured and dated exchanges that the gate gets, the youngest, 0..1.
        cutoff: fixed instead of found by ``fresh_share``, so that a challenger is looked at again on what is newer.
    """

    as_of: datetime
    maturity_days: float = 90.0
    fresh_share: float = 0.25
    cutoff: datetime | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fresh_share < 1:
            raise InvalidInputError("fresh_share", self.fresh_share, "Give a share between 0 and 1.")
        if self.maturity_days < 0:
            raise InvalidInputError("maturity_days", self.maturity_days, "Give days, 0 or more.")

    def cut(self, evidence: Sequence[Evidence]) -> datetime:
        """The cutoff: so that about ``fresh_share`` of what has matured happened after it; ``as_of`` without any."""
        if self.cutoff is not None:
            return self.cutoff
        latest = self.as_of - timedelta(days=self.maturity_days)
        dated = sorted(row.happened_at for row in evidence if row.happened_at is not None and row.happened_at <= latest)
        return dated[int(len(dated) * (1 - self.fresh_share)) - 1] if len(dated) > 1 else self.as_of


@dataclass(frozen=True, eq=False)
class Split:
    """What happened, with the part of each row.

    Attributes:
        built: the market with all rows as precedents.
        rows: ``p`` of them, as its precedents.
        parts: ``[p]`` one of `PARTS` each.
    """

    built: BuiltMarket
    rows: list[Evidence]
    parts: np.ndarray[Any, Any]
    cutoff: datetime

    def part(self, name: str) -> Snapshot:
        """The market with the rows of one part alone."""
        kept = np.flatnonzero(self.parts == name)
        times = np.asarray([_seconds(self.rows[row].happened_at) for row in kept.tolist()], dtype=np.float64)
        return Snapshot(self.built.market.keeping(kept), self.built.groups[kept], times)


def split(source: EvidenceSource, encoder: TextEncoder, rule: SplitRule) -> Split:
    """Cut what happened in parts; the same contents in any order give the same.

    Args:
        source: what happened.
        encoder: turns texts into vectors.
        rule: where time is cut.
    """
    companies = list(source.companies())
    known = {company.company_id for company in companies}
    rows = [row for row in source.evidence() if row.exchange.to_company in known]
    companies.sort(key=lambda company: company.company_id)
    listings = sorted(source.listings(), key=lambda listing: listing.listing_id)
    built = build_market(companies, listings, [row.exchange for row in rows], encoder)
    rows.sort(key=lambda row: (built.row_of[row.exchange.to_company], row.exchange.exchange_id))
    cutoff = rule.cut(rows)
    return Split(built, rows, _parts(rows, rule, cutoff), cutoff)


def _parts(rows: Sequence[Evidence], rule: SplitRule, cutoff: datetime) -> np.ndarray[Any, Any]:
    latest = rule.as_of - timedelta(days=rule.maturity_days)
    parts = np.asarray([_part(row, cutoff, latest) for row in rows], dtype=object)
    fresh = {_pair(row) for row, part in zip(rows, parts, strict=True) if part == FRESH}
    dated = {_pair(row) for row, part in zip(rows, parts, strict=True) if part == TRAIN and row.happened_at is not None}
    for place, row in enumerate(rows):
        undated = parts[place] == TRAIN and row.happened_at is None
        if (undated and _pair(row) in fresh - dated) or (parts[place] == FRESH and _pair(row) in dated):
            parts[place] = GAP  # it may be what the gate asks about, or says nothing new
    return parts


def _part(row: Evidence, cutoff: datetime, latest: datetime) -> str:
    if row.happened_at is None or (row.known_at or row.happened_at) <= cutoff:
        return TRAIN
    return FRESH if cutoff < row.happened_at <= latest else GAP


def _pair(row: Evidence) -> tuple[str, str]:
    return row.exchange.from_company, row.exchange.to_company


def _seconds(time: datetime | None) -> float:
    return float("nan") if time is None else (time - _EPOCH).total_seconds()
