"""What a search learns from when nothing else is given: the market in the data folder, as it is now."""

from __future__ import annotations

from ism.data.build import read_market
from ism.data.demo import start_market
from ism.data.text import CachedEncoder
from ism.engines.base import Snapshot
from ism.engines.catalog import text_encoder
from ism.settings import Settings
from ism.storage import open_store


def market_snapshot(settings: Settings) -> Snapshot:
    """Everything that was exchanged so far; the store is open only while it is read.

    Raises:
        DataFolderInUseError: a running server owns the folder; ask that server instead.
        StorageError: the store cannot be opened.
    """
    encoder = CachedEncoder(text_encoder(settings.text_model), settings.data_dir / "cache" / "vectors.sqlite3")
    try:
        with open_store(settings) as store:
            if settings.starts_with_demo:
                start_market(store)
            built = read_market(store, encoder)
    finally:
        encoder.close()
    return Snapshot(built.market, built.groups)
