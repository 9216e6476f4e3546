"""``ism feedback``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.markup import escape

from ism.app.cli.backend import connect
from ism.app.cli.common import FAILED, err, load_settings, out, plain_table, print_json
from ism.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from ism.app.cli.backend import Backend
    from ism.domain.feedback import DeadLetterState

_AT_ONCE, _PAGE = 10_000, 1_000


def add(file: Path | None, key: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Store events; their results in order."""
    events = read_events(sys.stdin.read() if file is None else _text(file))
    with connect(load_settings(data_dir=data_dir)) as backend:
        results = []
        for start in range(0, len(events), _AT_ONCE):
            part = f"{key}/{start}" if key is not None and start else key
            results += backend.feedback.tell(events[start : start + _AT_ONCE], part)
    unused = [result for result in results if result["status"] in {"rejected", "conflict"}]
    if as_json:
        print_json({"results": results})
    else:
        counts = {status: sum(result["status"] == status for result in results) for status in ("stored", "duplicate")}
        out().print(f"Stored {counts['stored']}, already there {counts['duplicate']}, not used {len(unused)}.")
        for result in unused:
            kept = f" (dead letter {result['letter_id']})" if result["letter_id"] else ""
            err().print(f"{result['event_id'] or '-'}: {result['reason']}{kept}", markup=False, soft_wrap=True)
    if unused:
        raise typer.Exit(FAILED)


def show(after: int, limit: int, data_dir: Path | None, as_json: bool) -> None:
    """Show some events."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.feedback.events(after, limit)
    if as_json:
        print_json({"items": found})
        return
    table = plain_table("number", "happened", "type", "about", "what")
    for item in found:
        event = item["event"]
        about = item["recommendation_id"] or item["model_name"] or ""
        what = ", ".join(f"{name} {value}" for name, value in event["data"].items() if name != "recommendation_id")
        table.add_row(str(item["sequence"]), event["event_time"][:16], event["event_type"], escape(about), escape(what))
    out().print(table if found else "There is no feedback here yet.")


def export(output: Path | None, data_dir: Path | None) -> None:
    """Write every event as a line of JSON."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        if output is None:
            _write(backend, sys.stdout)
        else:
            with output.open("w", encoding="utf-8") as file:
                err().print(f"Wrote {_write(backend, file)} events to {output}.", markup=False, soft_wrap=True)


def status(data_dir: Path | None, as_json: bool) -> None:
    """Show how feedback fares."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.feedback.status()
    if as_json:
        print_json(found)
        return
    by_type = ", ".join(f"{name} {count}" for name, count in sorted(found["feedback"]["by_type"].items()))
    out().print(f"{found['feedback']['total']} events{f' ({by_type})' if by_type else ''}.", markup=False)
    out().print(f"{found['dead_letters'].get('open', 0)} open dead letters.")


def letters(state: DeadLetterState | None, data_dir: Path | None, as_json: bool) -> None:
    """List dead letters."""
    found: list[dict[str, Any]] = []
    with connect(load_settings(data_dir=data_dir)) as backend:
        while page := backend.feedback.letters(state, found[-1]["letter_id"] if found else None, _PAGE):
            found += page
    if as_json:
        print_json({"items": found})
        return
    table = plain_table("id", "state", "tries", "field", "value", "reason")
    for letter in found:
        row = [letter[name] for name in ("letter_id", "state", "attempts", "field", "value", "reason")]
        table.add_row(*(escape(str(cell)) for cell in row))
    out().print(table if found else "There is no dead letter.")


def replay(letter_id: str, file: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Take in a dead letter, or its correction."""
    corrected = None if file is None else _parsed(_text(file), str(file))
    with connect(load_settings(data_dir=data_dir)) as backend:
        letter = backend.feedback.replay(letter_id, corrected)
    _told(letter, f"Stored as {letter['event_id']}.", as_json)


def discard(letter_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Mark a dead letter as of no use."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        letter = backend.feedback.discard(letter_id)
    _told(letter, f"Discarded {letter['letter_id']}.", as_json)


def read_events(text: str) -> list[Any]:
    """Events from a JSON value (one event, or a list), or from one JSON value a line.

    Raises:
        InvalidInputError: a line is no JSON.
    """
    try:
        whole = json.loads(text)
    except ValueError:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_parsed(line, f"line {number}") for number, line in lines]
    return whole if isinstance(whole, list) else [whole]


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInputError(place, text, f"Give JSON ({error}).") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("file", str(file), f"Give a readable file in UTF-8 ({error}).") from error


def _write(backend: Backend, file: TextIO) -> int:
    count = 0
    for event in _all_events(backend):
        file.write(json.dumps(event, ensure_ascii=False) + "\n")
        count += 1
    return count


def _all_events(backend: Backend) -> Iterator[Any]:
    after = 0
    while page := backend.feedback.events(after, _PAGE):
        yield from (item["event"] for item in page)
        after = page[-1]["sequence"]


def _told(letter: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        print_json(letter)
    else:
        out().print(words, markup=False)
