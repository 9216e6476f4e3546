"""A snapshot for retraining: what may be learnt from, and apart from it what only the gate may see.

``DIGEST/train`` and ``DIGEST/fresh`` are snapshots of `ism.engines.snapshot_files`; training and search are given the
first and nothing else. ``evidence.parquet`` says of every row when it happened, when it was known, who said so and in
which part it is. ``about.json`` seals all of it, and its SHA-256 names the folder: equal contents, equal digests.

`ism.engines.split` tells which row is in which part.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ism.data.text import TextEncoder
from ism.domain.errors import InvalidInputError
from ism.engines.evidence import Evidence, EvidenceSource
from ism.engines.snapshot_files import write_snapshot
from ism.engines.split import FRESH, PARTS, TRAIN, SplitRule, split

if TYPE_CHECKING:
    import polars as pl

ABOUT, EVIDENCE = "about.json", "evidence.parquet"
_FORMAT = 1


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
    found = split(source, encoder, rule)
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=root, prefix=".draft-"))
    try:
        digests = {part: write_snapshot(found.part(part), draft / part) for part in (TRAIN, FRESH)}
        frame = evidence_frame(found.rows, found.parts)
        frame.write_parquet(draft / EVIDENCE, compression="zstd", statistics=False)
        digests[EVIDENCE] = hashlib.sha256((draft / EVIDENCE).read_bytes()).hexdigest()
        counts = {name: int(np.sum(found.parts == name)) for name in PARTS}
        about = {
            "format": _FORMAT,
            "rule": {**asdict(rule), "as_of": rule.as_of.isoformat(), "cutoff": found.cutoff.isoformat()},
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
    return WrittenSnapshot(digest, root / digest, digests[TRAIN], found.cutoff, counts)


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
