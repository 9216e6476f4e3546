"""A snapshot on disk is the snapshot, and says so by its digest."""

from dataclasses import fields

import numpy as np
import polars as pl
import pytest

from ism.domain.errors import EngineError
from ism.engines.base import Snapshot
from ism.engines.snapshot_files import MANIFEST, read_snapshot, snapshot_digest, write_snapshot
from ism.testing.sample import WordEncoder, sample

PARTS = ({}, {"exchanges": False}, {"needs": False, "exchanges": False}, {"places": False})


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_what_was_written_is_read(tmp_path, parts):
    snapshot = sample(WordEncoder(), **parts).snapshot
    digest = write_snapshot(snapshot, tmp_path / "one")
    read = read_snapshot(tmp_path / "one")
    for part in ("receivers", "precedents"):
        for column in fields(getattr(read.market, part)):
            ours = getattr(getattr(snapshot.market, part), column.name)
            theirs = getattr(getattr(read.market, part), column.name)
            if isinstance(ours, np.ndarray):
                np.testing.assert_array_equal(ours, theirs, strict=True)
            else:
                assert ours == theirs
    np.testing.assert_array_equal(snapshot.groups, read.groups, strict=True)
    assert read.times is None
    assert digest == snapshot_digest(tmp_path / "one") == write_snapshot(read, tmp_path / "two")


def test_times_are_kept_and_change_the_digest(tmp_path):
    plain = sample(WordEncoder()).snapshot
    times = np.arange(len(plain.groups), dtype=np.float64)
    times[0] = np.nan
    digest = write_snapshot(Snapshot(plain.market, plain.groups, times), tmp_path / "timed")
    np.testing.assert_array_equal(read_snapshot(tmp_path / "timed").times, times)
    assert digest != write_snapshot(plain, tmp_path / "plain")


@pytest.mark.parametrize("name", ["precedents.parquet", "receivers.parquet", MANIFEST])
def test_a_changed_or_missing_file_is_refused_by_name(tmp_path, name):
    write_snapshot(sample(WordEncoder()).snapshot, tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(EngineError, match=name):
        read_snapshot(tmp_path)
    path.unlink()
    with pytest.raises(EngineError, match=name):
        read_snapshot(tmp_path)


def test_other_programs_can_read_it(tmp_path):
    snapshot = sample(WordEncoder()).snapshot
    write_snapshot(snapshot, tmp_path)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "precedents.parquet")
    assert table["text"].to_pylist() == snapshot.market.precedents.texts
    assert pl.read_parquet(tmp_path / "receivers.parquet")["id"].to_list() == snapshot.market.receivers.ids
