"""A thread that repeats something until it is told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ism.domain.errors import EngineError


class Background:
    """A thread that is begun and ended any number of times, by any threads, in any order.

    Args:
        run: what it does; returns soon after `over` is set.
        name: of the thread.

    Attributes:
        over: set when it is to end.
    """

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run, self._name = run, name
        self.over = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def begun(self) -> bool:
        """Whether it was ever begun."""
        return self._thread is not None

    @property
    def alive(self) -> bool:
        """Whether the thread is there."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Begin; does nothing where it runs, or was closed.

        Raises:
            EngineError: what was told to end still runs; two must not run at a time.
        """
        with self._lock:
            if self._closed or (self.alive and not self.over.is_set()):
                return
            if self.alive:
                raise EngineError(f"The thread {self._name!r} has not ended yet. Start it again in some seconds.")
            self.over.clear()
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def stop(self, wait_s: float) -> None:
        """End, and wait so many seconds for it at most; it may be begun again."""
        with self._lock:
            self.over.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(wait_s)

    def close(self, wait_s: float) -> None:
        """End for good: a start that comes later, from a thread that was slow, begins nothing."""
        with self._lock:
            self._closed = True
        self.stop(wait_s)
