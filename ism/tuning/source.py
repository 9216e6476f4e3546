"""What a search learns from when nothing else is given: what a retraining would learn from now, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ism.data.demo import start_market
from ism.data.text import CachedEncoder, TextEncoder
from ism.engines.base import Snapshot
from ism.engines.catalog import text_encoder
from ism.engines.evidence import StoreEvidence
from ism.engines.split import TRAIN, SplitRule, split
from ism.settings import Settings
from ism.storage import Store, open_store


def market_snapshot(settings: Settings) -> Snapshot:
    """The training part of the market in the data folder; the store is open only while it is read.

    Raises:
        DataFolderInUseError: a running server owns the folder; ask that server instead.
        StorageError: the store cannot be opened.
    """
    encoder = CachedEncoder(text_encoder(settings.text_model), settings.data_dir / "cache" / "vectors.sqlite3")
    try:
        with open_store(settings) as store:
            if settings.starts_with_demo:
                start_market(store)
            return training_part(store, encoder, settings)
    finally:
        encoder.close()


def training_part(store: Store, encoder: TextEncoder, settings: Settings) -> Snapshot:
    """What a retraining that begins now would learn from: the exchanges that would judge it are left out."""
    days = settings.retraining_maturity_days
    evidence = StoreEvidence(store, timedelta(days=days))
    return split(evidence, encoder, SplitRule(datetime.now(UTC), days)).part(TRAIN)
