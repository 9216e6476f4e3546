"""One open store for everybody in this process who opens the default data folder."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ism.storage.base import Store
from ism.storage.opening import open_store

if TYPE_CHECKING:
    from ism.settings import Settings

_lock = threading.Lock()
_open: dict[str, tuple[Store, int]] = {}


class SharedStore:
    """A share in the store that the settings name; the last share to be closed closes it.

    A folder belongs to one process and may be opened once in it: parts that open it by themselves share what is open.

    Args:
        settings: name the folder or the database.

    Raises:
        ConfigurationError, DataFolderInUseError, StorageError: as `open_store`.
    """

    def __init__(self, settings: Settings) -> None:
        url = settings.database_url
        self._key = str(settings.data_dir.resolve()) if url is None else url.get_secret_value()
        self._held = True
        with _lock:
            store, shares = _open.get(self._key) or (open_store(settings), 0)
            _open[self._key] = (store, shares + 1)
        self.store = store

    def close(self) -> None:
        """Give the share back; calling it again does nothing."""
        with _lock:
            if not self._held:
                return
            self._held = False
            store, shares = _open.pop(self._key)
            if shares > 1:
                _open[self._key] = (store, shares - 1)
                return
        store.close()
