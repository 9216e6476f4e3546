"""A snapshot for retraining: what may be learnt from, and apart from it what only the gate may see.

``DIGEST/train`` and ``DIGEST/fresh`` are snapshots of `ism.engines.snapshot_files`; training and search are given the
first and nothing else. ``evidence.parquet`` says of every row when it happened, when it was known, who said so and in
which part it is. ``about.json`` seals all of it, and its SHA-256 names the folder: equal contents, equal digests.

The split is in time, with a gap for maturing. With the moment ``as_of``, the maturity ``m`` and a ``cutoff``:

- *train*: known at the cutoff. What nobody has dated counts as known.
- *fresh*: happened after the cutoff, and ``m`` before ``as_of`` at the latest. What is younger may yet come to an
  outcome: it is censored, not negative, and waits.
- *gap*: the rest; and new exchanges of partners that the training part knows already, which say nothing new.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ism.data.build import BuiltMarket, build_market
from ism.data.text import TextEncoder
from ism.domain.errors import InvalidInputError
from ism.engines.base import Snapshot
from ism.engines.snapshot_files import write_snapshot
from ism.retraining.evidence import Evidence, EvidenceSource

if TYPE_CHECKING:
    import polars as pl

ABOUT, EVIDENCE, TRAIN, FRESH = "about.json", "evidence.parquet", "train", "fresh"
_FORMAT = 1
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


@dataclass(frozen=True, slots=True)
class WrittenSnapshot:
    """A snapshot on disk.

    Attributes:
        folder: named by the digest.
        learnt: SHA-256 of the training part alone: equal as long as nothing new may be learnt from.
        counts: rows by part: ``train``, ``fresh``, ``gap``.
    """

    digest: str
    folder: Path
    learnt: str
    cutoff: datetime
    counts: dict[str, int]

    @property
    def train(self) -> Path:
        """What training and search may see."""
        return self.folder / TRAIN

    @property
    def fresh(self) -> Path:
        """What only the gate may see."""
        return self.folder / FRESH


def make_snapshot(source: EvidenceSource, encoder: TextEncoder, rule: SplitRule, root: Path) -> WrittenSnapshot:
    """Write a snapshot under ``root``; one with the same contents is written once.

    Args:
        source: what happened.
        encoder: turns texts into vectors.
        rule: where time is cut.
        root: folder of snapshots.
    """
    companies = list(source.companies())
    known = {company.company_id for company in companies}
    rows = [row for row in source.evidence() if row.exchange.to_company in known]
    # Sorted, so that the order in which a store answers does not reach the digest.
    companies.sort(key=lambda company: company.company_id)
    listings = sorted(source.listings(), key=lambda listing: listing.listing_id)
    built = build_market(companies, listings, [row.exchange for row in rows], encoder)
    rows.sort(key=lambda row: (built.row_of[row.exchange.to_company], row.exchange.exchange_id))
    cutoff = rule.cut(rows)
    parts = _parts(rows, rule, cutoff)
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=root, prefix=".draft-"))
    try:
        digests = {part: write_snapshot(_taken(built, rows, parts, part), draft / part) for part in (TRAIN, FRESH)}
        frame = evidence_frame(rows, parts)
        frame.write_parquet(draft / EVIDENCE, compression="zstd", statistics=False)
        digests[EVIDENCE] = hashlib.sha256((draft / EVIDENCE).read_bytes()).hexdigest()
        counts = {name: int(np.sum(parts == name)) for name in (TRAIN, FRESH, "gap")}
        about = {
            "format": _FORMAT,
            "rule": {**asdict(rule), "as_of": rule.as_of.isoformat(), "cutoff": cutoff.isoformat()},
            "encoder": encoder.name,
            "counts": counts,
            "digests": digests,
        }
        text = json.dumps(about, sort_keys=True, indent=1)
        (draft / ABOUT).write_text(text, encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if not (root / digest).exists():
            draft.rename(root / digest)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return WrittenSnapshot(digest, root / digest, digests[TRAIN], cutoff, counts)


def open_snapshot(root: Path, digest: str) -> WrittenSnapshot:
    """A snapshot that was written before; `ism.retraining.validate` checks what is in it.

    Raises:
        InvalidInputError: there is none of that digest, or its seal was changed.
    """
    folder = root / digest
    try:
        text = (folder / ABOUT).read_text(encoding="utf-8")
    except OSError as error:
        remedy = f"It cannot be read ({error.strerror}). Start a new job."
        raise InvalidInputError("snapshot", digest, remedy) from error
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != digest:
        raise InvalidInputError(
            "snapshot", digest, f"Its seal was changed; its SHA-256 is {found} now. Start a new job."
        )
    about = json.loads(text)
    return WrittenSnapshot(
        digest, folder, about["digests"][TRAIN], datetime.fromisoformat(about["rule"]["cutoff"]), about["counts"]
    )


def evidence_frame(rows: Sequence[Evidence], parts: Sequence[str] | np.ndarray[Any, Any]) -> pl.DataFrame:
    """The rows as a table, in the columns of `ism.retraining.validate.SCHEMA`."""
    import polars as pl  # noqa: PLC0415 - 0.2 s: only where a snapshot is written

    from ism.retraining.validate import SCHEMA  # noqa: PLC0415 - it needs polars too

    return pl.DataFrame(
        {
            "exchange_id": [row.exchange.exchange_id for row in rows],
            "from_company": [row.exchange.from_company for row in rows],
            "to_company": [row.exchange.to_company for row in rows],
            "material": [row.exchange.material for row in rows],
            "ewc": [row.exchange.ewc for row in rows],
            "quantity_t_per_year": [row.exchange.quantity_t_per_year for row in rows],
            "happened_at": [row.happened_at for row in rows],
            "known_at": [row.known_at for row in rows],
            "recorded_at": [row.recorded_at for row in rows],
            "rater": [row.rater or row.exchange.from_company for row in rows],
            "part": [str(part) for part in parts],
        },
        schema=SCHEMA,
    )


def _parts(rows: Sequence[Evidence], rule: SplitRule, cutoff: datetime) -> np.ndarray[Any, Any]:
    latest = rule.as_of - timedelta(days=rule.maturity_days)
    parts = np.asarray([_part(row, cutoff, latest) for row in rows], dtype=object)
    fresh = {_pair(row) for row, part in zip(rows, parts, strict=True) if part == FRESH}
    dated = {_pair(row) for row, part in zip(rows, parts, strict=True) if part == TRAIN and row.happened_at is not None}
    for place, row in enumerate(rows):
        undated = parts[place] == TRAIN and row.happened_at is None
        if (undated and _pair(row) in fresh - dated) or (parts[place] == FRESH and _pair(row) in dated):
            parts[place] = "gap"  # it may be what the gate asks about, or says nothing new
    return parts


def _part(row: Evidence, cutoff: datetime, latest: datetime) -> str:
    if row.happened_at is None or (row.known_at or row.happened_at) <= cutoff:
        return TRAIN
    return FRESH if cutoff < row.happened_at <= latest else "gap"


def _pair(row: Evidence) -> tuple[str, str]:
    return row.exchange.from_company, row.exchange.to_company


def _taken(built: BuiltMarket, rows: Sequence[Evidence], parts: np.ndarray[Any, Any], part: str) -> Snapshot:
    kept = np.flatnonzero(parts == part)
    times = np.asarray([_seconds(rows[row].happened_at) for row in kept.tolist()], dtype=np.float64)
    return Snapshot(built.market.keeping(kept), built.groups[kept], times)


def _seconds(time: datetime | None) -> float:
    return float("nan") if time is None else (time - _EPOCH).total_seconds()
