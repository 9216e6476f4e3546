"""`/api/stream`: what changed, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from ism.app.http.crowd import STREAM
from ism.app.web.pulse import Pulse

router = APIRouter(include_in_schema=False)


@router.get(STREAM)
async def stream(request: Request) -> StreamingResponse:
    """``change`` with the topics that changed, and ``beat`` every few seconds, so that silence means trouble."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(request.app.state.pulse), headers=headers, media_type="text/event-stream")


async def _events(pulse: Pulse) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async with pulse.listening() as heard:
        while True:
            try:
                topics = await asyncio.wait_for(heard.get(), pulse.beat_s)
            except TimeoutError:
                yield b"event: beat\ndata: {}\n\n"
                continue
            if topics is None:  # the server stops
                return
            yield b"event: change\ndata: " + orjson.dumps({"topics": sorted(topics)}) + b"\n\n"
