"""Feedback by itself, for debugging: events come in as lines of JSON, what became of them goes out."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TextIO

from ism.domain.errors import IsmError
from ism.feedback.orchestrator import AIFeedbackOrchestrator

_HELLO = """\
Feedback by itself, without server, engines or dashboard. It takes in events durably and once, and keeps what it
cannot use as dead letters. Send one event a line, for example
  {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 4}}
and read what became of it. End with Ctrl+D.
"""


def main(lines: TextIO | None = None, out: TextIO | None = None) -> None:
    """Open the default data folder, take in each line, and end with the input.

    Args:
        lines: where events come from; standard input when None.
        out: where answers go, as lines of JSON; standard output when None. What is for people goes to standard error.
    """
    lines, out = lines or sys.stdin, out or sys.stdout
    sys.stderr.write(_HELLO)
    try:
        with AIFeedbackOrchestrator() as orchestrator:
            asyncio.run(_serve(orchestrator, lines, out))
    except IsmError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")


async def _serve(orchestrator: AIFeedbackOrchestrator, lines: TextIO, out: TextIO) -> None:
    _tell(out, await orchestrator.get_system_status())
    while line := await asyncio.to_thread(lines.readline):
        if line.strip():
            _tell(out, await _answer(orchestrator, line))
    _tell(out, await orchestrator.get_system_status())


async def _answer(orchestrator: AIFeedbackOrchestrator, line: str) -> object:
    try:
        event = json.loads(line)
    except ValueError as error:
        return {"error": f"This line is not JSON: {error}."}
    try:
        return asdict((await orchestrator.ingest_batch([event]))[0])
    except IsmError as error:
        return {"error": str(error)}


def _tell(out: TextIO, answer: object) -> None:
    out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    out.flush()
