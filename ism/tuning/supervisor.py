"""Works on the searches of a folder, one at a time, each in a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from ism.domain.errors import DataFolderInUseError
from ism.settings import Settings
from ism.storage.lock import FolderLock
from ism.tuning.driver import DATABASE_VARIABLE
from ism.tuning.folder import LOG, OptimizationFolder, folders

_LOOK = 0.1  # seconds between two looks at a running process or a taken lock
_END = 15.0  # seconds that a process has to end once its input is closed
_ATTEMPTS = 3  # starts of a search whose process ends without a word
_log = logging.getLogger("ism.tuning")


class Supervisor:
    """Carries on what is unfinished in a folder while it is the one that holds the folder's lock.

    Args:
        home: of all searches.
        settings: name the database, if any.

    Attributes:
        failure: what stopped the work; it is taken up again by the next `wake`.
    """

    def __init__(self, home: Path, settings: Settings) -> None:
        self._home, self._settings = home, settings
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._starts: Counter[str] = Counter()
        self.failure: Exception | None = None

    def wake(self) -> None:
        """Begin to work, if there is anything to do and nobody does it."""
        with self._lock:
            if self._thread is not None or self._closing.is_set() or not self._home.is_dir() or self._next() is None:
                return
            self._thread = threading.Thread(target=self._work, name="tuning", daemon=True)
            self._thread.start()

    def wait(self, folder: OptimizationFolder, timeout: float) -> None:
        """Wait until a search has ended, at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while folder.status()["status"] == "running" and time.monotonic() < deadline:
            time.sleep(min(_LOOK, max(deadline - time.monotonic(), 0.0)))

    def close(self) -> None:
        """End the running process and the thread; calling it again does nothing."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(2 * _END)

    def _work(self) -> None:
        self.failure = None
        try:
            lock = self._own()
            if lock is None:
                return
            try:
                while (folder := self._next()) is not None and not self._closing.is_set():
                    self._carry_on(folder)
            finally:
                lock.release()
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; whoever probes it is told
            _log.exception("The searches for parameters stopped.")
            self.failure = error
        with self._lock:
            self._thread = None
        if self.failure is None:
            self.wake()  # what came in after the last look

    def _own(self) -> FolderLock | None:
        """The folder's lock, waited for; None when closing, or when nothing is left to do."""
        while not self._closing.wait(0) and self._next() is not None:
            try:
                return FolderLock(self._home)
            except DataFolderInUseError:  # another process works here; it also takes what was added
                self._closing.wait(_LOOK)
        return None

    def _next(self) -> OptimizationFolder | None:
        return next((each for each in folders(self._home) if not each.ended and not each.paused), None)

    def _carry_on(self, folder: OptimizationFolder) -> None:
        if folder.cancelled:
            folder.end("cancelled")
            return
        self._starts[folder.name] += 1
        code = self._run(folder)
        if folder.ended or folder.paused or self._closing.is_set() or folder.cancelled:
            self._starts[folder.name] = 0
        elif self._starts[folder.name] >= _ATTEMPTS:
            message = f"Its process ended {_ATTEMPTS} times without a result (exit code {code}); {LOG} may say why."
            folder.end("failed", message)

    def _run(self, folder: OptimizationFolder) -> int:
        """Run the search's process until it ends or is no longer wanted."""
        environment = {name: value for name, value in os.environ.items() if name != DATABASE_VARIABLE}
        if self._settings.database_url is not None:
            environment[DATABASE_VARIABLE] = self._settings.database_url.get_secret_value()
        with (folder.path / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", "from ism.tuning.driver import main; main()", str(folder.path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
        try:
            while process.poll() is None and not self._closing.wait(_LOOK):
                pass
        finally:
            code = _end(process)
        return code


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close the input of a process, which ends it, and wait for its end."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    try:
        return process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(_END)
