"""Refuses a snapshot that must not be learnt from, with every reason."""

from __future__ import annotations

import hashlib
import json

import polars as pl

from ism.domain.errors import IsmError
from ism.engines.snapshot_files import read_snapshot, snapshot_digest
from ism.engines.split import FRESH, TRAIN
from ism.retraining.snapshot import ABOUT, EVIDENCE, WrittenSnapshot

_TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "exchange_id": pl.String,
    "from_company": pl.String,
    "to_company": pl.String,
    "material": pl.String,
    "ewc": pl.String,
    "quantity_t_per_year": pl.Float64,
    "happened_at": _TIME,
    "known_at": _TIME,
    "recorded_at": _TIME,
    "rater": pl.String,
    "part": pl.String,
}
_FEATURES = ("ewc", "quantity_t_per_year")
_LEAST_DONORS = 2
_LEAST_ROWS = 20  # below, a column that is filled only after the outcome cannot be told from chance
_LEAK = 0.95


def problems(snapshot: WrittenSnapshot) -> list[str]:
    """Why a snapshot is refused, one sentence each; empty where it is fine."""
    found = _seals(snapshot)
    if found:
        return found  # nothing else that it says can be trusted
    frame = pl.read_parquet(snapshot.folder / EVIDENCE)
    return _schema(frame) or [*_classes(frame), *_leaks(frame, snapshot)]


def _seals(snapshot: WrittenSnapshot) -> list[str]:
    about = json.loads((snapshot.folder / ABOUT).read_text(encoding="utf-8"))
    found = []
    for part in (TRAIN, FRESH):
        try:
            read_snapshot(snapshot.folder / part)
            if snapshot_digest(snapshot.folder / part) != about["digests"][part]:
                found.append(f"{part}: it is not the part that was sealed.")
        except IsmError as error:
            found.append(f"{part}: {error}")
    path = snapshot.folder / EVIDENCE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != about["digests"][EVIDENCE]:
        found.append(f"{EVIDENCE}: it is missing or was changed.")
    return found


def _schema(frame: pl.DataFrame) -> list[str]:
    """Columns that are missing, unknown or of another type: what was learnt before does not fit them."""
    found = [f"Column {name} is missing." for name in SCHEMA if name not in frame.columns]
    found += [
        f"Column {name} is unknown; its meaning in time is not declared."
        for name in frame.columns
        if name not in SCHEMA
    ]
    for name in set(SCHEMA).intersection(frame.columns):
        if frame.schema[name] != SCHEMA[name]:
            found.append(f"Column {name} is {frame.schema[name]} and was {SCHEMA[name]}.")
    return sorted(found)


def _classes(frame: pl.DataFrame) -> list[str]:
    found = []
    for part, use in ((TRAIN, "to learn from"), (FRESH, "for the gate")):
        rows = frame.filter(pl.col("part") == part)
        donors = rows["from_company"].n_unique()
        if not len(rows):
            found.append(f"There is no exchange {use}: the part {part!r} is empty.")
        elif donors < _LEAST_DONORS:
            found.append(f"All exchanges {use} come from one company; at least {_LEAST_DONORS} are needed.")
    return found


def _leaks(frame: pl.DataFrame, snapshot: WrittenSnapshot) -> list[str]:
    """What a model could not have known, or what the gate asks although it was learnt."""
    train, fresh = (frame.filter(pl.col("part") == part) for part in (TRAIN, FRESH))
    checks = {
        "were known only after the cutoff": train.filter(pl.col("known_at") > snapshot.cutoff),
        "happened only after the cutoff": train.filter(pl.col("happened_at") > snapshot.cutoff),
        "for the gate happened before the cutoff": fresh.filter(pl.col("happened_at") <= snapshot.cutoff),
        "for the gate are learnt from, too": fresh.join(train, on=["from_company", "to_company"], how="semi"),
        "have facts that were written down after the outcome": frame.filter(
            (pl.col("part") != "gap") & (pl.col("recorded_at") > pl.col("happened_at"))
        ),
    }
    found = [
        f"{len(rows)} exchanges {what}, such as {rows['exchange_id'][0]!r}."
        for what, rows in checks.items()
        if len(rows)
    ]
    return found + [
        f"Column {name} is filled only where an outcome is known: a fact of after the outcome, which no new offer has."
        for name in _FEATURES
        if _only_after(frame, name)
    ]


def _only_after(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column is filled for what has matured and empty for what has not."""
    matured = frame.filter(pl.col("part") != "gap")
    young = frame.filter((pl.col("part") == "gap") & pl.col("known_at").is_null())
    if len(matured) < _LEAST_ROWS or len(young) < _LEAST_ROWS:
        return False
    filled = [1 - rows[name].null_count() / len(rows) for rows in (matured, young)]
    return filled[0] - filled[1] >= _LEAK
