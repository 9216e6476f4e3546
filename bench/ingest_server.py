"""The server that `bench.ingest_http` loads: the application without engines, and a route that only checks."""

from __future__ import annotations

import socket
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import orjson
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response

from bench.ingest import log_shown
from bench.ingest_http import CHECKED
from ism.app.http.access import MAY_WRITE, App
from ism.app.http.app import create_app
from ism.app.http.routes.feedback import loads_quickly
from ism.app.wiring import Matcher, open_application
from ism.feedback.arrival import Limits, read, utc_now
from ism.settings import Settings

_LIMITS = Limits()


def serve(folder: Path, database_url: str | None, told: Connection) -> None:
    """Serve until terminated; tells the port and a key."""
    given: dict[str, Any] = {
        "data_dir": folder,
        "database_url": database_url,
        "demo_market": False,
        "caller_requests_per_s": 0,  # one caller loads it as fast as it can
        "_env_file": None,
    }
    with open_application(Settings(**given), make_matcher=_idle, warm=False) as application:
        if not application.store.feedback.shown_at(["r0"]):
            log_shown(application.store)
        app: FastAPI = create_app(application)
        app.add_api_route(CHECKED, checked, methods=["POST"], dependencies=MAY_WRITE)
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        told.send((listener.getsockname()[1], application.auth.create("bench", "service")[1]))
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


async def checked(request: Request, application: App) -> Response:
    """All that taking in an event does, but storing it."""
    event = read(loads_quickly(await request.body()), utc_now(), _LIMITS).event
    return Response(orjson.dumps({"feedback_id": event.event_id}), 201, media_type="application/json")


class _Idle:
    def refresh(self) -> None:
        """Nothing needs loading."""


def _idle(*_: object) -> Matcher:
    return cast("Matcher", _Idle())  # nothing is matched here
