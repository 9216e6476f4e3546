"""System: load, latency, components, backups, settings, and who changed what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from ism.app.web import words
from ism.app.web.page import Asked, Page
from ism.app.web.panel import ACTIONS, Action, Column, Empty, Panel, Row
from ism.app.web.views import ahead
from ism.app.web.views.load import PANELS as LOAD
from ism.domain.audit import AuditEntry
from ism.settings import Settings

_ROWS = 100
_AUDITED = 1000


def load(asked: Asked) -> Panel:
    """What the machine and this process use at this moment."""
    memory, process = psutil.virtual_memory(), psutil.Process()
    disk = psutil.disk_usage(str(asked.application.settings.data_dir))
    cores = psutil.cpu_count() or 1
    started = datetime.fromtimestamp(process.create_time(), UTC)
    rows = [
        {"what": "Processor", "now": words.share(psutil.getloadavg()[0] / cores),
         "of": f"{cores} cores, mean of the last minute; above 100 % work waits"},
        {"what": "Memory of the machine", "now": words.share(memory.percent / 100), "of": words.size(memory.total)},
        {"what": "Memory of this process", "now": words.size(process.memory_info().rss),
         "of": words.size(memory.total)},
        {"what": "Disk of the data folder", "now": f"{words.size(disk.free)} free", "of": words.size(disk.total)},
        {"what": "Connections", "now": str(len(process.net_connections("tcp"))), "of": "of this process, TCP"},
        {"what": "Running since", "now": words.moment(started), "of": f"UTC, {words.age(started)}"},
    ]  # fmt: skip
    return Panel(
        "Load now",
        (Column("what", "What"), Column("now", "Now"), Column("of", "Of")),
        rows,
        Empty("This machine does not tell its load.", "Look with the system's own tools."),
        topics=("metrics",),
        width=5,
    )


def components(asked: Asked) -> Panel:
    """Every part and how it is."""
    supervised = asked.application.supervised()
    rows: list[Row] = [
        {"name": name.replace("engine:", "engine ").replace("_", " "), "state": state["state"],
         "restarts": state.get("restarts"), "detail": state["detail"],
         ACTIONS: _again(name, state["state"], name in supervised) if asked.may_manage else ()}
        for name, state in asked.application.components().items()
    ]  # fmt: skip
    return Panel(
        "Components",
        (
            Column("name", "Component"),
            Column("state", "State", "state"),
            Column("restarts", "Restarts", "number"),
            Column("detail", "Detail"),
        ),
        rows,
        Empty("No component has told its state.", "Look into the server's log."),
        note="The same as /readyz tells machines. A degraded component does its work with less, or is being restarted.",
        topics=("components",),
        width=7,
    )


def _again(name: str, state: str, supervised: bool) -> list[Action]:
    if state in {"starting", "disabled"}:
        return []
    if name in {"matcher", "market"}:
        question = "Load market and engines again? Answers wait for it as long as it takes."
        return [Action("Load again", "/act/components/matcher", question)]
    found = [Action("Back up now", "/act/backups")] if name == "backup" else []
    if supervised:
        question = f"End and begin {name} again, with what needs it? What it was doing goes on where it stood."
        found.append(Action("Restart", f"/act/components/{name}", question))
    return found


def settings(asked: Asked) -> Panel:
    """Every knob as it is set."""
    chosen = asked.application.settings
    rows = [
        {
            "name": str(field.alias or f"ISM_{name}").upper(),
            "value": _shown(getattr(chosen, name)),
            "changed": "changed" if name in chosen.model_fields_set else "default",
            "about": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    return Panel(
        "Settings",
        (Column("name", "Name", "code"), Column("value", "Value"), Column("changed", "Set"),
         Column("about", "What it does, and its unit")),
        rows,
        Empty("There are no settings.", "Look into .env.example."),
        note="Read from the environment and .env at the start; secrets are never shown.",
        width=12,
        cards=True,
    )  # fmt: skip


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "not set"
    if isinstance(value, SecretStr):
        return "set, hidden"
    return str(value.resolve()) if isinstance(value, Path) else str(value)


def changes(asked: Asked) -> Panel:
    """Who changed what, the latest first."""
    application = asked.application
    rows: list[dict[str, Any]] = [
        {"at": each.switched_at, "who": each.actor, "what": f"Fusion model {each.model_id}, version {each.version}",
         "before": f"{each.previous_id}, version {each.previous_version}", "reason": each.reason}
        for each in application.fusion.switches(_ROWS)
    ]  # fmt: skip
    for state in ("released", "confirmed"):
        rows += [
            {"at": each.decided_at, "who": each.decided_by, "what": f"Statement {each.event_id} {each.state}",
             "before": "held in quarantine", "reason": each.decided_reason}
            for each in application.feedback.loop.review.quarantined(state, None, _ROWS)
        ]  # fmt: skip
    rows += [
        {"at": each.override_at, "who": each.override_by,
         "what": f"Trust of {each.actor_id} set to {each.override_trust}", "before": f"estimated {each.trust:.2f}",
         "reason": each.override_reason}
        for each in application.feedback.loop.review.actors()
        if each.override_at is not None
    ]  # fmt: skip
    rows += [
        {"at": key.created_at, "who": None, "what": f"Key {key.name or key.key_id} made, role {key.role}",
         "before": None, "reason": f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else None}
        for key in application.store.list_api_keys()
    ]  # fmt: skip
    rows += [
        {"at": each.made_at, "who": each.actor,
         "what": "Configuration: " + ", ".join(f"{name} {after}" for name, (_, after) in each.changes.items()),
         "before": ", ".join(f"{name} {before}" for name, (before, _) in each.changes.items()),
         "reason": each.reason or (f"takes back {each.undoes}" if each.undoes else None)}
        for each in application.store.configuration.config_versions(_ROWS)
    ]  # fmt: skip
    inside = [row for row in rows if asked.period.start <= row["at"] <= asked.period.end]
    inside.sort(key=lambda row: row["at"], reverse=True)
    return Panel(
        "Who changed what",
        (Column("at", "When", "time", "UTC"), Column("who", "Who"), Column("what", "What"), Column("before", "Before"),
         Column("reason", "Reason")),
        inside[:_ROWS],
        Empty("Nobody changed anything in this time.", "Switches of models, decisions on quarantine and trust, "
              "and keys are listed here. Choose a longer time."),
        topics=("models", "feedback"),
        width=12,
        cards=True,
        total=len(inside),
    )  # fmt: skip


def audit(asked: Asked) -> Panel:
    """The audit log of the period, for those who may read it."""
    found = _audited(asked) if asked.may_manage else []
    rows: list[Row] = [
        {"number": each.number, "at": each.at, "who": each.actor or None, "what": each.action,
         "target": each.target or None,
         "detail": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in each.details.items()) or None}
        for each in found
    ]  # fmt: skip
    most = f"Only the latest {_AUDITED} of this time; `ism audit list` has all. " if len(found) == _AUDITED else ""
    return Panel(
        "Audit log",
        (Column("at", "When", "time", "UTC"), Column("who", "Who"), Column("what", "What", "code"),
         Column("target", "To what"), Column("detail", "Detail"), Column("number", "Entry", "number")),
        rows,
        Empty("Nothing was audited in this time.", "Sign-ins and changes of keys, models, settings, rules, alerts and "
              "backups are written here. Choose a longer time.")
        if asked.may_manage
        else Empty("Administrators see the audit log.", "Ask one of them, or sign in as one."),
        note=f"{most}Each entry is bound to the one before it by its SHA-256; `ism audit verify` computes all anew.",
        topics=("models", "alerts"),
        width=12,
        shown=_ROWS,
        cards=True,
    )  # fmt: skip


def _audited(asked: Asked) -> list[AuditEntry]:
    """Entries of the period, the newest first, `_AUDITED` at most."""
    found: list[AuditEntry] = []
    some: Sequence[AuditEntry] = asked.application.store.audit.entries(limit=_AUDITED)
    while some:
        found += [each for each in some if asked.period.start <= each.at <= asked.period.end]
        if len(found) >= _AUDITED or some[-1].at < asked.period.start:
            break
        some = asked.application.store.audit.entries(some[-1].number, _AUDITED)
    return found[:_AUDITED]


def backups(asked: Asked) -> Panel:
    """Those that there are, for those who may make and restore them."""
    rows: list[Row] = (
        [
            {"at": datetime.fromisoformat(each.made_at), "file": each.name, "rows": each.rows, "bytes": each.size}
            for each in asked.application.backups.list()
        ]
        if asked.may_manage
        else []
    )
    return Panel(
        "Backups",
        (
            Column("at", "When", "time", "UTC"),
            Column("file", "File"),
            Column("rows", "Rows", "number"),
            Column("bytes", "Size", "bytes"),
        ),
        rows,
        Empty(
            "There is none yet.",
            'The first one is made within a minute of the start, by "Back up now" above, or by `ism backup`.',
        )
        if asked.may_manage
        else Empty("Administrators see the backups.", "Ask one of them, or sign in as one."),
        width=12,
        total=len(rows),
    )


PAGE = Page(
    "system",
    "System",
    "What it runs on, how it is set, and who changed what.",
    {
        "load": load,
        "components": components,
        **LOAD,
        "outlook": ahead.outlook,
        **ahead.FORECASTS,
        "changes": changes,
        "audit": audit,
        "backups": backups,
        "settings": settings,
    },
    whole={
        "load": "this moment",
        "components": "this moment",
        "outlook": "the latest outlook, made from the last four weeks",
        **dict.fromkeys(ahead.FORECASTS, "a week before it was made, and a day after"),
        "backups": "all that are kept",
        "settings": "as they were at the start",
    },
)
