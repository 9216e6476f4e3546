"""A snapshot as a folder of parquet files, named and sealed by their content.

``snapshot.json`` lists every file with its SHA-256; the digest of the snapshot is the SHA-256 of that list. Equal
contents give equal digests, whenever and wherever they are written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ism.data.market import Market, Precedents, Receivers
from ism.domain.errors import EngineError
from ism.engines.base import Snapshot

if TYPE_CHECKING:
    import polars as pl

MANIFEST = "snapshot.json"
_FORMAT = 1


def write_snapshot(snapshot: Snapshot, folder: Path) -> str:
    """Write a snapshot into a new or empty folder; returns its digest (64 hexadecimal digits)."""
    folder.mkdir(parents=True, exist_ok=True)
    home, past = snapshot.market.receivers, snapshot.market.precedents
    receivers = {
        "id": home.ids, "name": home.names, "kind": home.kinds, "nace": home.nace, "latitude": home.latitude,
        "longitude": home.longitude, "country": home.countries,
    }  # fmt: skip
    needs = {"owner": home.need_owner, "text": home.need_texts, "vector": home.needs, "terms": home.need_terms}
    precedents = {
        "receiver": past.receiver, "vector": past.vectors, "ewc": past.ewc, "donor_nace": past.donor_nace,
        "receiver_nace": past.receiver_nace, "latitude": past.latitude, "longitude": past.longitude,
        "text": past.texts, "reference": past.references, "source": past.sources, "group": snapshot.groups,
    }  # fmt: skip
    if snapshot.times is not None:
        precedents["time"] = snapshot.times
    files = {}
    for name, columns in (("receivers", receivers), ("needs", needs), ("precedents", precedents)):
        path = folder / f"{name}.parquet"
        _frame(columns).write_parquet(path, compression="zstd", statistics=False)
        files[path.name] = _sha256(path)
    about = {"format": _FORMAT, "files": files, "dimension": int(past.vectors.shape[1])}
    text = json.dumps(about, sort_keys=True, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def read_snapshot(folder: Path) -> Snapshot:
    """Read what `write_snapshot` wrote.

    Raises:
        EngineError: a file is missing, changed or of another version.
    """
    import polars as pl  # noqa: PLC0415 - 0.2 s: only where a snapshot is read

    about = _manifest(folder)
    for name, expected in about["files"].items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise EngineError(f"{path} is missing or was changed. Write the snapshot again.")
    home, needs, past = (pl.read_parquet(folder / f"{name}.parquet") for name in ("receivers", "needs", "precedents"))
    dimension = int(about["dimension"])
    receivers = Receivers(
        ids=home["id"].to_list(), names=home["name"].to_list(), kinds=home["kind"].to_list(),
        nace=_ints(home["nace"], 3), latitude=_floats(home["latitude"]), longitude=_floats(home["longitude"]),
        countries=home["country"].to_list(), needs=_floats(needs["vector"], dimension),
        need_owner=_rows(needs["owner"]), need_texts=needs["text"].to_list(), need_terms=_floats(needs["terms"], 3),
    )  # fmt: skip
    precedents = Precedents(
        receiver=_rows(past["receiver"]), vectors=_floats(past["vector"], dimension), ewc=_ints(past["ewc"], 3),
        donor_nace=_ints(past["donor_nace"], 3), receiver_nace=_ints(past["receiver_nace"], 3),
        latitude=_floats(past["latitude"]), longitude=_floats(past["longitude"]), texts=past["text"].to_list(),
        references=past["reference"].to_list(), sources=past["source"].to_list(),
    )  # fmt: skip
    times = past["time"].to_numpy().astype(np.float64) if "time" in past.columns else None
    return Snapshot(Market(receivers, precedents), _ints(past["group"]), times)


def snapshot_digest(folder: Path) -> str:
    """The digest of a written snapshot.

    Raises:
        EngineError: it cannot be read.
    """
    _manifest(folder)
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{path} cannot be read: {error}. Write the snapshot again.") from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise EngineError(f"{path} is not a snapshot of format {_FORMAT}. Write the snapshot again.")
    return about


def _frame(columns: dict[str, Any]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - 0.2 s: only where a snapshot is written

    return pl.DataFrame([_series(name, values) for name, values in columns.items()])


def _series(name: str, values: npt.NDArray[Any] | Sequence[str]) -> pl.Series:
    """A column; a matrix becomes a column of fixed-length lists."""
    import polars as pl  # noqa: PLC0415 - as above

    if not isinstance(values, np.ndarray):
        return pl.Series(name, values, dtype=pl.String)
    if values.ndim == 1:
        return pl.Series(name, values)
    inner = pl.Float32 if values.dtype.kind == "f" else pl.Int32
    return pl.Series(name, np.ascontiguousarray(values), dtype=pl.Array(inner, values.shape[1]))


def _floats(values: pl.Series, width: int | None = None) -> npt.NDArray[np.float32]:
    return _matrix(values, width).astype(np.float32)


def _ints(values: pl.Series, width: int | None = None) -> npt.NDArray[np.int32]:
    return _matrix(values, width).astype(np.int32)


def _rows(values: pl.Series) -> npt.NDArray[np.intp]:
    return values.to_numpy().astype(np.intp)


def _matrix(values: pl.Series, width: int | None) -> npt.NDArray[Any]:
    if width is None:
        return values.to_numpy()
    return values.to_numpy().reshape(len(values), width) if len(values) else np.zeros((0, width))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
