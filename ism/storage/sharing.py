"""One store for all parts of a process that open the same data folder by themselves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ism.storage.opening import open_store

if TYPE_CHECKING:
    from ism.settings import Settings
    from ism.storage.base import Store

_lock = threading.Lock()
_open: dict[str, tuple[Store, int]] = {}  # by place; with how many users


class SharedStore:
    """A user's share in an open store; the last one to `close` closes the store.

    Attributes:
        store: must not be closed by itself.
    """

    def __init__(self, place: str, store: Store) -> None:
        self.store = store
        self._place: str | None = place

    def close(self) -> None:
        """Give the share back; calling it again does nothing."""
        with _lock:
            if self._place is None:
                return
            store, users = _open[self._place]
            if users > 1:
                _open[self._place] = (store, users - 1)
            else:
                del _open[self._place]
                store.close()
            self._place = None


def share_store(settings: Settings) -> SharedStore:
    """A share in the store that the settings name; errors as in `ism.storage.open_store`."""
    url = settings.database_url
    place = str(settings.data_dir.resolve()) if url is None else url.get_secret_value()
    with _lock:
        store, users = _open.get(place) or (open_store(settings), 0)
        _open[place] = (store, users + 1)
    return SharedStore(place, store)
