from datetime import UTC, datetime

import pytest

from ism.retraining.registry import Lineage, Registry
from ism.storage import open_sqlite
from ism.storage.artifacts import LocalBlobs

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with open_sqlite(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def registry(store, blobs, tmp_path):
    return Registry(store.retraining, blobs, tmp_path / "serving")


@pytest.fixture
def make_version(registry, tmp_path):
    """Registers a small model whose one file says its number."""

    def make(number, gate="PASS", **lineage):
        folder = tmp_path / f"trained-{number}"
        folder.mkdir()
        (folder / "engine.json").write_text(f'{{"model": {number}}}')
        return registry.register("matching", folder, Lineage("c" * 64, "0.1.0", {"n": number}, 0, gate=gate, **lineage))

    return make
