"""``ism feedback quarantine``, ``trust``, ``trigger`` and ``judge``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ism.app.cli.backend import connect
from ism.app.cli.common import load_settings, out, plain_table, print_json

if TYPE_CHECKING:
    from ism.app.cli.judging_backend import JudgingBackend
    from ism.domain.judgement import QuarantineState

_PAGE = 1_000
Json = dict[str, Any]


def quarantine(state: QuarantineState | None, data_dir: Path | None, as_json: bool) -> None:
    """List what does not count, with the reason."""

    def everything(backend: JudgingBackend) -> list[Json]:
        found: list[Json] = []
        while page := backend.quarantine(state, found[-1]["event_id"] if found else None, _PAGE):
            found += page
        return found

    items = _asked(everything, data_dir)
    if as_json:
        print_json({"items": items})
        return
    table = plain_table("event", "actor", "state", "reason")
    for item in items:
        table.add_row(escape(item["event_id"]), escape(item["actor_id"] or ""), item["state"], escape(item["reason"]))
    out().print(table if items else "Nothing is in quarantine.")


def decide(event_id: str, decision: str, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Release or confirm a quarantined event."""
    entry = _asked(lambda backend: backend.decide(event_id, decision, reason), data_dir)
    if as_json:
        print_json(entry)
    else:
        out().print(f"{entry['event_id']} is {entry['state']}.", markup=False)


def trust(data_dir: Path | None, as_json: bool) -> None:
    """List actors, how far each is believed, and why."""
    actors = _asked(lambda backend: backend.actors(), data_dir)
    if as_json:
        print_json({"actors": actors})
        return
    table = plain_table("actor", "company", "trust", "by hand", "reasons")
    for item in actors:
        word = "" if item["override_trust"] is None else f"{item['override_trust']:.2f}: {item['override_reason']}"
        table.add_row(
            escape(item["actor_id"]),
            escape(item["company_id"]),
            f"{item['trust']:.2f}",
            escape(word),
            escape(" ".join(item["reasons"])),
        )
    out().print(table if actors else "Nobody has said anything about a match yet.")


def set_trust(actor_id: str, value: float | None, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Put an operator's word before the estimate, or take it back."""
    actor = _asked(lambda backend: backend.set_trust(actor_id, value, reason), data_dir)
    if as_json:
        print_json(actor)
    elif value is None:
        out().print(f"{actor_id} is believed as estimated: {actor['trust']:.2f}.", markup=False)
    else:
        out().print(f"{actor_id} is believed {value:.2f} by hand; estimated {actor['trust']:.2f}.", markup=False)


def triggers(model: str | None, limit: int, data_dir: Path | None, as_json: bool) -> None:
    """List decisions about retraining, the latest first."""
    found = _asked(lambda backend: backend.triggers(model, limit), data_dir)
    if as_json:
        print_json({"triggers": found})
        return
    table = plain_table("decided", "model", "cause", "decision", "reason")
    for item in found:
        table.add_row(
            item["decided_at"][:16], escape(item["model_name"]), item["cause"], item["decision"], escape(item["reason"])
        )
    out().print(table if found else "No trigger has spoken yet.")


def ask(model: str, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Ask for a training by hand."""
    decision = _asked(lambda backend: backend.ask(model, reason), data_dir)
    if as_json:
        print_json(decision)
    else:
        out().print(f"{decision['decision']}: {decision['reason']}", markup=False)


def judge(data_dir: Path | None, as_json: bool) -> None:
    """Judge what waits."""
    done = _asked(lambda backend: backend.turn(), data_dir)
    if as_json:
        print_json(done)
        return
    out().print(
        f"Events judged: {done['events']}. Labels written: {done['labels']}. Put into quarantine: {done['held']}. "
        f"Actors whose trust moved: {done['actors']}. Trigger decisions: {done['decisions']}.",
        soft_wrap=True,
    )


def _asked(question: Callable[[JudgingBackend], Any], data_dir: Path | None) -> Any:
    with connect(load_settings(data_dir=data_dir)) as backend:
        return question(backend.judging)
