"""Engines that take long to train, trained while the others answer already."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ism.app.fitting import FittingTask, fit_apart, fitting_alone
from ism.domain.errors import IsmError

FIRST = ("matching", "knowledge_graph")  # learn in seconds, and answer from the start
_END_S = 10.0  # seconds that the child has to be gone

_log = logging.getLogger("ism")


class LaterEngines:
    """A thread that has all engines fitted in a child process and then says so.

    What the child writes appears whole or not at all. Where it is cut off, by a crash or a stop, the next start finds
    the engines of `FIRST` and begins again.

    Args:
        task: what is fitted; waits for `start`.
        limit_s: longest time that it may take, in seconds.
        installed: called when the folder holds the fitted engines.
        done: whether another process on the same folder has fitted them meanwhile.
    """

    def __init__(
        self,
        task: FittingTask,
        limit_s: float,
        installed: Callable[[], None],
        done: Callable[[], bool] = lambda: False,
    ) -> None:
        self._task, self._limit_s, self._installed, self._done = task, limit_s, installed, done
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="later-engines", daemon=True)
        self._since = datetime.now(UTC)
        self._failure: str | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def reason(self) -> str:
        """Why an engine is not there yet, for people."""
        if self._failure is not None:
            return f"Its training failed, and is tried again at the next start. {self._failure}"
        return f"Still training, since {self._since:%H:%M:%S} UTC; until it is done the other engines share its weight."

    def wait(self, limit_s: float) -> bool:
        """Whether it ended, one way or the other, within so many seconds."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """End the child; calling it again does nothing."""
        self._stop.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_END_S)

    def _run(self) -> None:
        started = time.perf_counter()
        try:
            with fitting_alone(self._task.folder, self._limit_s, self._stop):
                fitted = self._done() or fit_apart(self._task, self._limit_s, self._stop)
            if fitted and not self._stop.is_set():
                self._installed()
                _log.info("All engines answer after another %.1f s.", time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; readiness tells what happened
            self._failure = str(error) if isinstance(error, IsmError) else f"{type(error).__name__}; the log says more."
            _log.exception("The other engines could not be trained.")
