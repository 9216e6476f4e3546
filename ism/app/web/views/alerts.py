"""Alerts: what is wrong now and what to do, what was, and when to tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ism.app.phrases import amount
from ism.app.web import words
from ism.app.web.page import Asked, Page
from ism.app.web.panel import ACTIONS, LINKS, Action, Column, Empty, Input, Panel, Row
from ism.domain.monitoring import Alert, AlertRule

_ROWS = 200
_SILENCES = (("60", "1 hour"), ("480", "8 hours"), ("1440", "1 day"), ("10080", "7 days"))
_SEVERITIES = (("info", "Info"), ("warning", "Warning"), ("critical", "Critical"))
_NAMES = {"cpu": "Processor", "memory": "Memory", "disk": "Disk", "error_rate": "Errors", "latency": "Latency",
          "model_quality": "Quality of a model"}  # fmt: skip
_ON = (("true", "On"), ("false", "Off"))


def open_alerts(asked: Asked) -> Panel:
    """Every alert that is not resolved, with its remedy."""
    now = datetime.now(UTC)
    found = asked.application.store.monitoring.alerts(resolved=False, limit=_ROWS)
    order = ("critical", "warning", "info")
    found.sort(key=lambda alert: (order.index(alert.severity), alert.opened_at))
    rows: list[Row] = [
        {
            "severity": alert.severity, "message": alert.message, "remedy": alert.remedy, "opened_at": alert.opened_at,
            "state": _state(alert, now), "value": alert.value, "threshold": alert.threshold,
            ACTIONS: _actions(alert) if asked.may_write else (), LINKS: {"message": alert.link},
        }
        for alert in found
    ]  # fmt: skip
    return Panel(
        "Open alerts",
        (Column("severity", "How urgent", "state"), Column("message", "What"), Column("remedy", "What to do"),
         Column("state", "State"), Column("opened_at", "Since", "age"), Column("value", "Now", "number"),
         Column("threshold", "Limit", "number")),
        rows,
        Empty("No alert is open.", "Rules are judged once a minute; they stand below."),
        note="Choose an alert to see what it was measured from. A cause has one alert at a time. It ends by itself "
        "once every measurement is back past the lower limit; resolved by hand it opens again only if it holds anew.",
        topics=("alerts", "metrics"),
        width=12,
    )  # fmt: skip


def _state(alert: Alert, now: datetime) -> str:
    parts = [f"acknowledged by {alert.acknowledged_by}" if alert.state == "acknowledged" else "open"]
    if alert.silenced_until is not None and alert.silenced_until > now:
        parts.append(f"silent until {words.moment(alert.silenced_until)} UTC")
    if alert.inhibited_by is not None:
        parts.append(f"not told while {_named(alert.inhibited_by)} is open")
    return ", ".join(parts)


def _actions(alert: Alert) -> list[Action]:
    address = f"/act/alerts/{alert.alert_id}"
    acknowledge = Action("Acknowledge", address, values={"decision": "acknowledge"})
    silence = Action(
        "Silence", address, "Deliver nothing about this cause, also when it opens again?",
        inputs=(Input("minutes", "For how long", "60", _SILENCES),), values={"decision": "silence"},
    )  # fmt: skip
    resolve = Action("Resolve", address, "Is its cause gone? It is kept in the history.",
                     values={"decision": "resolve"})  # fmt: skip
    return [silence, resolve] if alert.state == "acknowledged" else [acknowledge, silence, resolve]


def history(asked: Asked) -> Panel:
    """Resolved alerts of the period."""
    period = asked.period
    past = asked.application.store.monitoring.alerts(resolved=True, limit=1000)
    found = [alert for alert in past if period.start <= alert.opened_at <= period.end]
    rows: list[Row] = [
        {
            "opened_at": alert.opened_at, "severity": alert.severity, "message": alert.message,
            "lasted": (alert.resolved_at - alert.opened_at).total_seconds() if alert.resolved_at else None,
            "by": alert.acknowledged_by, LINKS: {"message": alert.link},
        }
        for alert in found
    ]  # fmt: skip
    return Panel(
        "History",
        (Column("opened_at", "Opened", "time", "UTC"), Column("severity", "How urgent", "state"),
         Column("message", "What"), Column("lasted", "Lasted", "seconds"), Column("by", "Taken on by")),
        rows,
        Empty("No alert of this time has ended.", "Alerts that are resolved are kept here; choose a longer time."),
        topics=("alerts",),
        width=12,
        cards=True,
    )  # fmt: skip


def rules(asked: Asked) -> Panel:
    """When to tell."""
    rows: list[Row] = [
        {
            "rule": _named(rule.name), "when": _when(rule), "ends": _ends(rule),
            "minutes": rule.for_minutes, "severity": rule.severity,
            "silent": f"while {_named(rule.inhibited_by)} is open" if rule.inhibited_by else None,
            "state": "on" if rule.enabled else "off",
            ACTIONS: [_change(rule)] if asked.may_manage else (),
        }
        for rule in asked.application.monitoring.rules.every()
    ]  # fmt: skip
    return Panel(
        "Rules",
        (Column("rule", "Rule"), Column("state", "State"), Column("when", "Opens"), Column("ends", "Ends"),
         Column("minutes", "For", "number", "minutes"), Column("severity", "How urgent", "state"),
         Column("silent", "Not told")),
        rows,
        Empty("There is no rule.", "Look into docs/monitoring.md."),
        note="The condition must hold, and must have ended, for every measurement of that many minutes. Changes count "
        "from the next minute on.",
        topics=("alerts",),
        width=12,
    )  # fmt: skip


def _named(rule: str) -> str:
    return _NAMES.get(rule, rule)


def _when(rule: AlertRule) -> str:
    return f"{'above' if rule.above else 'below'} {amount(rule.enter)} {rule.unit}"


def _ends(rule: AlertRule) -> str:
    return f"{'at or below' if rule.above else 'at or above'} {amount(rule.leave)} {rule.unit}"


def _change(rule: AlertRule) -> Action:
    inputs = (
        Input("enter", f"Opens {'above' if rule.above else 'below'}, {rule.unit}", f"{rule.enter:g}"),
        Input("leave", f"Ends {'at or below' if rule.above else 'at or above'}, {rule.unit}", f"{rule.leave:g}"),
        Input("for_minutes", "For, minutes", str(rule.for_minutes)),
        Input("severity", "How urgent", rule.severity, _SEVERITIES),
        Input("enabled", "State", str(rule.enabled).lower(), _ON),
    )
    return Action("Change", f"/act/rules/{rule.name}", f"{_named(rule.name)}: when is it told?", inputs=inputs)


def attention(asked: Asked) -> list[dict[str, Any]]:
    """Open alerts that nobody has acknowledged: severity, what, what to do, and where to see it."""
    found = asked.application.store.monitoring.alerts(resolved=False, limit=_ROWS)
    return [
        {"severity": alert.severity, "what": alert.message, "do": alert.remedy, LINKS: {"what": alert.link}}
        for alert in found
        if alert.state == "open"
    ]


PAGE = Page(
    "alerts",
    "Alerts",
    "What is wrong, what to do about it, and when you are told.",
    {"open": open_alerts, "history": history, "rules": rules},
    whole={"open": "all that are open now", "rules": "as they are set now"},
)
