"""A real server on loopback in a thread of this process, for benchmarks, pictures and tests of pages."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ism.app.http.app import create_app
from ism.app.wiring import Application

_START_S, _END_S = 30.0, 15.0


@contextmanager
def served(application: Application) -> Iterator[str]:
    """The address of a server in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(application), log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    ends = time.monotonic() + _START_S
    while not server.started and time.monotonic() < ends:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(_END_S)
