"""Processes that work until they are killed, and what they had told by then."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ism.storage import Store, open_postgres, open_sqlite


def open_place(place: str) -> Store:
    """The store at a PostgreSQL URL, or in a folder."""
    return open_postgres(place) if place.startswith("postgresql:") else open_sqlite(Path(place))


def killed(work: Callable[..., None], arguments: tuple[Any, ...], after_s: float) -> list[str]:
    """What a process told before it was killed.

    Args:
        work: a function of a module; gets the arguments and a connection, on which it says "ready" first.
        arguments: for it.
        after_s: from "ready" to SIGKILL, in seconds.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([work.__module__])  # a process that has all libraries loaded forks each one
    receiving, sending = forks.Pipe(duplex=False)
    child = forks.Process(target=work, args=(*arguments, sending))
    child.start()
    sending.close()
    assert receiving.recv() == "ready"
    time.sleep(after_s)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join(30)
    told: list[str] = []
    with suppress(EOFError):
        while True:
            told += receiving.recv().split()
    return told
