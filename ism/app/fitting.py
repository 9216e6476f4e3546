"""Engines fitted in a process of their own, which is gone when they are written.

Fitting needs libraries of several hundred MB (torch, scikit-learn) that serving never uses. What a process has loaded
it keeps, so the serving process hands market and encoder to a child and reads the folder that it writes.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ism.data.text import TextEncoder
from ism.domain.errors import DataFolderInUseError, EngineError
from ism.engines import catalog
from ism.engines.base import ParamValue, Snapshot
from ism.fusion.fit import fit_fusion
from ism.fusion.store import save_fusion
from ism.storage.lock import FolderLock

LOCK_FOLDER = ".fitting"  # beside what is fitted
_HEAD = 8  # bytes that tell the length of a task
_GIVES_WAY = 10  # niceness of a child in the background
_LOOK_S = 0.2  # seconds between looks at whether a child shall be ended
_SHOWN = 2000  # characters of what a child that failed had to say

_log = logging.getLogger("ism")


@dataclass(frozen=True)
class FittingTask:
    """What is fitted, and where to.

    Attributes:
        names: engines, by their name in the catalogue.
        encoder: must survive pickling; it opens its files again in the child.
        device: what training runs on: ``auto``, ``cpu`` or ``cuda``.
        folder: takes the fitted fusion; whole or not at all.
        policies: engine -> parameters that people decide about.
        whole: whether these are all engines; else no fusion model is learnt yet.
        background: gives way to every other process.
    """

    snapshot: Snapshot
    names: tuple[str, ...]
    encoder: TextEncoder
    device: str
    folder: Path
    policies: Mapping[str, Mapping[str, ParamValue]] = field(default_factory=dict)
    seed: int = 0
    whole: bool = True
    background: bool = False

    def run(self) -> None:
        """Fit, calibrate and write, in this process."""
        if self.background:
            os.nice(_GIVES_WAY)
        makers = {
            name: partial(catalog.make, name, self.encoder, self.device, self.policies.get(name)) for name in self.names
        }
        save_fusion(fit_fusion(self.snapshot, makers, self.seed, models=self.whole), self.folder)


@contextmanager
def fitting_alone(folder: Path, limit_s: float, stop: threading.Event | None = None) -> Iterator[None]:
    """Keep other processes from fitting into the same folder meanwhile; waits for one that does.

    Raises:
        EngineError: another one did for longer than the limit, or ``stop`` was set.
    """
    home = folder.with_name(LOCK_FOLDER)
    home.mkdir(parents=True, exist_ok=True)
    ends, lock = time.monotonic() + limit_s, None
    while lock is None:
        try:
            lock = FolderLock(home)
        except DataFolderInUseError as error:
            if time.monotonic() > ends or (stop is not None and stop.is_set()):
                remedy = "Wait for it, or give it more time (ISM_FIT_SECONDS)."
                raise EngineError(f"Another process fits engines into {folder}. {remedy}") from error
            time.sleep(_LOOK_S)
    try:
        yield
    finally:
        lock.release()


def fit_apart(task: FittingTask, limit_s: float, stop: threading.Event | None = None) -> bool:
    """Run a task in a child process and wait for it.

    Args:
        task: what to fit.
        limit_s: longest time that it may take, in seconds; then the child is ended.
        stop: ends the child when it is set.

    Returns:
        whether it was done; False when it was stopped.

    Raises:
        EngineError: the child failed or took too long; the folder is as it was before.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "ism.app.fitting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
        )
        try:
            _send(child, task)
            stopped = not _ended(child, limit_s, stop)
        except subprocess.TimeoutExpired as error:
            remedy = "Give it more time (ISM_FIT_SECONDS) or a smaller market."
            raise EngineError(f"Fitting the engines took longer than {limit_s:g} s and was ended. {remedy}") from error
        finally:
            child.kill()
            child.wait()
            if child.stdin is not None:
                with suppress(BrokenPipeError):
                    child.stdin.close()
        if not stopped and child.returncode:
            said.seek(0)
            raise _failure(child.returncode, said.read().decode("utf-8", "replace").strip())
    return not stopped


def _ended(child: subprocess.Popen[bytes], limit_s: float, stop: threading.Event | None) -> bool:
    """Whether the child came to its end by itself; TimeoutExpired where it did not within the limit."""
    end = time.monotonic() + limit_s
    while stop is None or not stop.is_set():
        left = max(end - time.monotonic(), 0.0)
        try:
            child.wait(left if stop is None else min(left, _LOOK_S))
        except subprocess.TimeoutExpired:
            if left <= _LOOK_S or stop is None:
                raise
        else:
            return True
    return False


def main() -> None:
    """Run the task that comes in on standard input; end when whoever sent it is gone."""
    size = int.from_bytes(sys.stdin.buffer.read(_HEAD), "big")
    task = pickle.loads(sys.stdin.buffer.read(size))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    task.run()


def _send(child: subprocess.Popen[bytes], task: FittingTask) -> None:
    """Through a pipe to the own child, which stays open: nobody else can have written it, and its end is a sign."""
    whole = pickle.dumps(task)
    with suppress(BrokenPipeError):  # a child that is gone already says why by its exit code
        if child.stdin is not None:
            child.stdin.write(len(whole).to_bytes(_HEAD, "big") + whole)
            child.stdin.flush()


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # of the file itself: a buffered read would hold a lock that the exit needs
    os._exit(1)


def _failure(code: int, said: str) -> EngineError:
    _log.error("Fitting the engines failed:\n%s", said[-_SHOWN:])
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return EngineError(f"Fitting the engines ended with {how}: {said.rpartition(chr(10))[2] or 'nothing was said'}.")


if __name__ == "__main__":
    main()
