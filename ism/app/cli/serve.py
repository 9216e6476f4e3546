"""``ism serve``: one process that owns the data folder, the web page and the HTTP API."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import signal
import socket
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from ism.app.cli.common import err, load_settings
from ism.app.http.app import create_app
from ism.app.logs import log_to_console, log_to_file
from ism.app.orchestrator import ProductionOrchestrator
from ism.app.orchestrator.config import fields_of
from ism.app.record import ServerRecord, local_url, remove_record, shown_url, write_record
from ism.app.wiring import Application, open_application
from ism.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from ism.settings import Settings

_GRACE = 4  # seconds that running requests have when the server stops
_END_S = 9.0  # from the signal to the end, whatever hangs; what was acknowledged is on disk
_CUT_OFF = 1  # exit code where something hung
_log = logging.getLogger("ism")


def serve(given: dict[str, Any]) -> None:
    """Listen until told to stop; ten seconds later at most this process is gone.

    Args:
        given: settings from options; None where none was given.

    Raises:
        ConfigurationError: the address cannot be listened on, or a setting cannot be used.
        StorageError: the store cannot be opened.
    """
    settings = load_settings(**given)
    log_to_console(settings)
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, _stop)
    explicit = fields_of({name for name, value in given.items() if value is not None})
    with _listener(settings.host, settings.port) as listener, open_application(settings, warm=False) as application:
        configured = settings.admin_key.get_secret_value() if settings.admin_key else None
        made = application.auth.ensure_admin(configured)
        auth = application.auth
        log_to_file(settings, [auth.local_token, auth.link_token, *([made] if made else [])])
        url = local_url(settings.host, settings.port)
        write_record(settings.data_dir, ServerRecord(url, application.auth.local_token, os.getpid()))
        try:
            _greet(settings, application, made)
            _run(application, ProductionOrchestrator(application=application, explicit=explicit), listener)
            _log.info("Stopped.")
        finally:
            remove_record(settings.data_dir, application.auth.local_token)


def _stop(signal_number: int, frame: FrameType | None) -> None:
    """End by way of every ``finally``; uvicorn raises the signal again at its end, and the default would kill."""
    _end_in_time()
    raise SystemExit(0)


def _end_in_time() -> None:
    """End this process after a while even where a thread hangs: nothing that was acknowledged waits in memory."""

    def end() -> None:
        _log.error("Something did not end within %g s of the signal and is cut off.", _END_S)
        os._exit(_CUT_OFF)

    if not any(thread.name == "end-in-time" for thread in threading.enumerate()):
        timer = threading.Timer(_END_S, end)
        timer.name, timer.daemon = "end-in-time", True
        timer.start()


def _run(application: Application, orchestrator: ProductionOrchestrator, listener: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415 - after the settings were found good

    app = create_app(application, orchestrator, when_warm=_settle)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            _end_in_time()
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await app.state.pulse.close()  # pages that listen would keep their connections open
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_config=None,  # ours is set up already
        access_log=False,  # it would write down the token of the sign-in link
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    Server(config).run(sockets=[listener])


def _settle() -> None:
    """What is loaded stays: collections of garbage, each of which would hold up all requests, leave it out.

    Products of matrices take one thread each. A request's are so small that a second one spins rather than works: a
    match took the same time and twice the processor.
    """
    threadpool_limits(1)
    gc.unfreeze()  # of a load before this one, which may be garbage now
    gc.collect()
    gc.freeze()


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket: requests wait in it until the server is there, and a taken port is found out at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        remedy = "Stop what listens there, or choose another --port."
        raise ConfigurationError(f"{host}:{port} cannot be listened on ({error.strerror}). {remedy}") from error
    return listener


def _greet(settings: Settings, application: Application, made: str | None) -> None:
    console = err()
    if made is not None:
        console.print("First API key (admin). It is shown this once; keep it safe:", style="bold")
        console.print(f"  {made}", markup=False, soft_wrap=True)
    console.print("Open in a browser:", style="bold")
    console.print(f"  {shown_url(settings)}/sign-in?token={application.auth.link_token}", markup=False, soft_wrap=True)
    console.print(f"Data in {settings.data_dir.resolve()}. Stop with Ctrl+C.", markup=False, soft_wrap=True)
    if not _is_loopback(settings.host):
        console.print(
            f"{settings.host} can be reached from other machines, without encryption. Put a proxy with TLS before it.",
            style="yellow",
            markup=False,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
