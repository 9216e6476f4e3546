"""What must survive a restart: the market, what was shown, what came of it, API keys and settings.

Importing this package loads no database library; `open_store` does.
"""

from ism.storage.base import (
    DEFAULT_DATASET,
    ROLES,
    SYSTEM,
    ApiKey,
    BulkResult,
    Columns,
    MarketReader,
    MarketValue,
    Page,
    Role,
    Store,
    WebSession,
)
from ism.storage.feedback import FeedbackStore, FeedbackTotals, NewEvent
from ism.storage.opening import open_postgres, open_sqlite, open_store
from ism.storage.retraining_base import Claim, RetrainingStore
from ism.storage.sharing import SharedStore, share_store

__all__ = [
    "DEFAULT_DATASET",
    "ROLES",
    "SYSTEM",
    "ApiKey",
    "BulkResult",
    "Claim",
    "Columns",
    "FeedbackStore",
    "FeedbackTotals",
    "MarketReader",
    "MarketValue",
    "NewEvent",
    "Page",
    "RetrainingStore",
    "Role",
    "SharedStore",
    "Store",
    "WebSession",
    "open_postgres",
    "open_sqlite",
    "open_store",
    "share_store",
]
