"""Alert rules and their judging: one open alert per cause, for-duration, hysteresis, silence, inhibition."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ism.domain.audit import Act
from ism.domain.errors import InvalidInputError, NotFoundError
from ism.domain.monitoring import Alert, AlertRule, MetricPoint

if TYPE_CHECKING:
    from ism.storage import Store

SETTING = "alert_rules"
LONGEST_SILENCE = timedelta(days=30)
_EDITABLE = {"enter": float, "leave": float, "for_minutes": int, "severity": str, "enabled": bool}
_SEVERITIES = ("info", "warning", "critical")
_EVERY_MODEL = ":*"
_LEAST_SHARE = 2 / 3  # of the measurements that a duration should hold; fewer say too little

DEFAULTS: tuple[AlertRule, ...] = (
    AlertRule(
        "cpu",
        "cpu_percent",
        "%",
        True,
        80.0,
        70.0,
        5,
        "warning",
        "The processor is in use at {value:.0f} %.",
        "See which jobs run; cancel or postpone retraining and tuning, or give the machine more cores.",
        "/system?range=24h#panel-cpu",
    ),
    AlertRule(
        "memory",
        "memory_percent",
        "%",
        True,
        85.0,
        80.0,
        5,
        "critical",
        "Memory is in use at {value:.0f} %.",
        "See which jobs run; cancel the largest, or give the machine more memory before the system ends processes.",
        "/system?range=24h#panel-memory",
    ),
    AlertRule(
        "disk",
        "disk_percent",
        "%",
        True,
        90.0,
        85.0,
        5,
        "critical",
        "The disk of the data folder is {value:.0f} % full.",
        "Move backups away or enlarge the disk: at 100 % nothing new can be stored.",
        "/system?range=30d#panel-disk",
    ),
    AlertRule(
        "error_rate",
        "error_percent",
        "%",
        True,
        5.0,
        2.0,
        5,
        "critical",
        "{value:.1f} % of requests fail.",
        "Read the server's log of these minutes, and the state of the components.",
        "/system?range=24h#panel-errors",
    ),
    AlertRule(
        "latency",
        "latency_p95_s",
        "s",
        True,
        2.0,
        1.5,
        5,
        "warning",
        "Of a hundred requests the slowest five take {value:.1f} s or more.",
        "See whether processor or memory is short, and which jobs run beside the server.",
        "/system?range=24h#panel-latency",
        "cpu",
    ),
    AlertRule(
        "model_quality",
        "model.relative_quality:*",
        "of its value at promotion",
        False,
        0.70,
        0.80,
        120,
        "critical",
        "{model} is at {value:.0%} of the quality that it was promoted with.",
        "Compare its versions and roll back to the one before, or ask for a retraining.",
        "/models?model={model}&range=90d#panel-accuracy",
    ),
)


class AlertRules:
    """The rules as operators have set them; kept in the store.

    Args:
        store: keeps what differs from `DEFAULTS`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()

    def every(self) -> list[AlertRule]:
        """All rules."""
        stored = self._store.get_setting(SETTING, {})
        changes: Mapping[str, Any] = stored if isinstance(stored, dict) else {}
        return [replace(rule, **changes.get(rule.name, {})) for rule in DEFAULTS]

    def change(self, name: str, values: Mapping[str, Any], by: str) -> AlertRule:
        """Set ``enter``, ``leave``, ``for_minutes``, ``severity`` or ``enabled`` of a rule; the audit log tells of it.

        Raises:
            NotFoundError: there is no such rule.
            InvalidInputError: a value cannot be used.
        """
        with self._lock:
            current = {rule.name: rule for rule in self.every()}
            if name not in current:
                raise NotFoundError("alert rule", name)
            changed = _checked(replace(current[name], **_typed(values)))
            stored = self._store.get_setting(SETTING, {})
            every = dict(stored) if isinstance(stored, dict) else {}
            every[name] = {field: getattr(changed, field) for field in _EDITABLE}
            self._store.set_setting(SETTING, every)
            self._store.audit.append(Act(by, "alert-rule.change", name, values))
        return changed


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        kind = _EDITABLE.get(name)
        if kind is None:
            raise InvalidInputError(name, value, f"Only {', '.join(_EDITABLE)} can be set.")
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (kind is not bool and isinstance(value, bool)):
            raise InvalidInputError(name, value, f"Give a value of type {kind.__name__}.")
    return dict(values)


def _checked(rule: AlertRule) -> AlertRule:
    if not 1 <= rule.for_minutes <= 1440:
        raise InvalidInputError("for_minutes", rule.for_minutes, "Give 1 to 1440 minutes.")
    if rule.severity not in _SEVERITIES:
        raise InvalidInputError("severity", rule.severity, f"Choose one of {', '.join(_SEVERITIES)}.")
    if not (abs(rule.enter) <= 1e9 and abs(rule.leave) <= 1e9):
        raise InvalidInputError("enter", rule.enter, "Give a finite number of ordinary size.")
    if (rule.leave > rule.enter) if rule.above else (rule.leave < rule.enter):
        raise InvalidInputError(
            "leave", rule.leave, f"It must not lie past enter, {rule.enter:g}: the alert would never end."
        )
    return rule


class AlertJudge:
    """Opens and resolves alerts from what was measured; what holds survives a restart, since it is read, not counted.

    Args:
        store: holds measurements and alerts.
        rules: when to tell.
    """

    def __init__(self, store: Store, rules: AlertRules) -> None:
        self._store, self._rules = store, rules

    def judge(self, now: datetime) -> list[Alert]:
        """One turn; returns the alerts that are open after it."""
        open_ = {alert.cause: alert for alert in self._store.monitoring.alerts(resolved=False, limit=1000)}
        for rule in self._rules.every():
            for name in self._names(rule):
                self._judge_one(rule, name, open_, now)
        return self._inhibit()

    def _names(self, rule: AlertRule) -> Sequence[str]:
        if not rule.metric.endswith(_EVERY_MODEL):
            return [rule.metric]
        return self._store.monitoring.metric_names(rule.metric.removesuffix("*"))

    def _judge_one(self, rule: AlertRule, name: str, open_: Mapping[str, Alert], now: datetime) -> None:
        model = name.partition(":")[2]
        cause = f"{rule.name}:{model}" if model else rule.name
        alert = open_.get(cause)
        if not rule.enabled:
            if alert is not None:
                self._resolve(alert, now)
            return
        since = now - timedelta(minutes=rule.for_minutes)
        found = self._store.monitoring.metrics([name], since, now + timedelta(seconds=1), 60)
        if alert is None and holds(rule, found) and not self._just_ended(cause, since):
            self._open(rule, cause, model, found[-1].mean, now)
        elif alert is not None and has_ended(rule, found):
            self._resolve(alert, now)
        elif alert is not None and found:
            values = {"value": found[-1].mean, "updated_at": now}
            self._store.monitoring.change_alert(alert.alert_id, values)

    def _just_ended(self, cause: str, since: datetime) -> bool:
        """Whether somebody resolved it within the duration: it opens again only where it holds anew."""
        past = self._store.monitoring.alerts(resolved=True, limit=200)
        return any(a.cause == cause and a.resolved_at is not None and a.resolved_at > since for a in past)

    def _open(self, rule: AlertRule, cause: str, model: str, value: float, now: datetime) -> None:
        past = self._store.monitoring.alerts(resolved=True, limit=200)
        silences = (a.silenced_until for a in past if a.cause == cause and a.silenced_until and a.silenced_until > now)
        self._store.monitoring.open_alert(
            Alert(
                alert_id=uuid.uuid4().hex,
                rule=rule.name,
                cause=cause,
                severity=rule.severity,
                state="open",
                message=rule.says.format(value=value, model=model),
                remedy=rule.remedy,
                link=rule.link.format(model=model),
                value=value,
                threshold=rule.enter,
                opened_at=now,
                updated_at=now,
                silenced_until=max(silences, default=None),
            )
        )

    def _resolve(self, alert: Alert, now: datetime) -> None:
        self._store.monitoring.change_alert(
            alert.alert_id, {"state": "resolved", "resolved_at": now, "updated_at": now}
        )

    def _inhibit(self) -> list[Alert]:
        alerts = self._store.monitoring.alerts(resolved=False, limit=1000)
        rules = {rule.name: rule for rule in self._rules.every()}
        firing = {alert.rule for alert in alerts}
        return [self._inhibited(alert, rules, firing) for alert in alerts]

    def _inhibited(self, alert: Alert, rules: Mapping[str, AlertRule], firing: Collection[str]) -> Alert:
        by = rules[alert.rule].inhibited_by if alert.rule in rules else None
        wanted = by if by is not None and by in firing else None
        if wanted == alert.inhibited_by:
            return alert
        return self._store.monitoring.change_alert(alert.alert_id, {"inhibited_by": wanted})


def _enough(rule: AlertRule, found: Sequence[MetricPoint]) -> bool:
    every_minutes = 60 if rule.metric.startswith("model.") else 1
    return len(found) >= max(1, int(_LEAST_SHARE * rule.for_minutes / every_minutes))


def holds(rule: AlertRule, found: Sequence[MetricPoint]) -> bool:
    """Whether every measurement of the duration lies past ``enter``; too few measurements say nothing."""
    past = (point.mean > rule.enter if rule.above else point.mean < rule.enter for point in found)
    return _enough(rule, found) and all(past)


def has_ended(rule: AlertRule, found: Sequence[MetricPoint]) -> bool:
    """Whether every measurement of the duration is back past ``leave``; silence of a meter ends nothing."""
    back = (point.mean <= rule.leave if rule.above else point.mean >= rule.leave for point in found)
    return _enough(rule, found) and all(back)


def acknowledge(store: Store, alert_id: str, by: str) -> Alert:
    """Say that somebody takes care of it; NotFoundError, or ConflictError when it is resolved."""
    now = datetime.now(UTC)
    values = {"state": "acknowledged", "acknowledged_at": now, "acknowledged_by": by, "updated_at": now}
    return _changed(store, alert_id, values, Act(by, "alert.acknowledge", alert_id))


def resolve(store: Store, alert_id: str, by: str, now: datetime | None = None) -> Alert:
    """Say that its cause is gone; where it is not, it opens again after its duration. Errors as `acknowledge`."""
    now = now or datetime.now(UTC)
    values = {"state": "resolved", "resolved_at": now, "updated_at": now, "acknowledged_at": now, "acknowledged_by": by}
    return _changed(store, alert_id, values, Act(by, "alert.resolve", alert_id))


def silence(store: Store, alert_id: str, minutes: int, by: str) -> Alert:
    """Deliver nothing about its cause for so long, also when it opens again; errors as in `acknowledge`."""
    if not 1 <= minutes <= LONGEST_SILENCE.total_seconds() / 60:
        raise InvalidInputError("minutes", minutes, "Give 1 to 43200 minutes, 30 days.")
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return _changed(
        store, alert_id, {"silenced_until": until}, Act(by, "alert.silence", alert_id, {"minutes": minutes})
    )


def _changed(store: Store, alert_id: str, values: Mapping[str, Any], act: Act) -> Alert:
    """The alert after somebody changed it; the audit log tells who, and which cause it was about."""
    alert = store.monitoring.change_alert(alert_id, values)
    store.audit.append(replace(act, details={"cause": alert.cause, **act.details}))
    return alert
