"""Whom the fusion believes: engines, fusion models, and how outcomes moved the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ism.app.phrases import engine_label
from ism.app.web import charts
from ism.app.web.page import Asked
from ism.app.web.panel import ACTIONS, Action, Column, Empty, Panel, Row
from ism.domain.errors import EngineError

_STEPS = 5000  # the latest; what is older is not looked at


def engines(asked: Asked) -> Panel:
    """Every engine that the fusion weighs."""
    try:
        found = asked.application.engines()
    except EngineError as error:
        found, why = [], str(error)
    else:
        why = "No engine is installed."
    weights = asked.application.fusion.get_active_model().weights
    rows = [
        {"name": engine_label(each["name"]), "state": each["state"], "weight": weights.get(each["name"]),
         "detail": each["detail"]}
        for each in found
    ]  # fmt: skip
    return Panel(
        "Engines",
        (Column("name", "Engine"), Column("state", "State", "state"), Column("weight", "Weight", "share"),
         Column("detail", "Detail")),
        rows,
        Empty(why, "Wait until the engines have started; System shows how far they are.", "/system", "See components"),
        note="Weights of the active fusion model; where an engine is absent the others share its weight.",
        topics=("components", "models"),
        width=12,
    )  # fmt: skip


def fusion(asked: Asked) -> Panel:
    """Fusion models, and which one answers."""
    layer = asked.application.fusion
    active = layer.get_active_model().model_id
    rows: list[Row] = [
        {
            "model": each.model_id, "type": each.model_type.replace("_", " "), "version": each.version,
            "state": "active" if each.model_id == active else "in reserve",
            "weights": ", ".join(f"{engine_label(name)} {value:.2f}" for name, value in each.weights.items()),
            "figures": _figures(each.performance_metrics),
            ACTIONS: [_use(each.model_id)] if asked.may_manage and each.model_id != active else (),
        }
        for each in layer.get_fusion_models()
    ]  # fmt: skip
    return Panel(
        "Fusion models",
        (Column("model", "Model", "code"), Column("state", "State", "state"), Column("type", "Type"),
         Column("version", "Version", "number"), Column("weights", "Weights"),
         Column("figures", "Measured on unseen cases")),
        rows,
        Empty("There is no fusion model.", "The default is made at the start; look into the server's log."),
        topics=("models",),
        width=12,
    )  # fmt: skip


def weights(asked: Asked) -> Panel:
    """How matured outcomes moved the adaptive weights."""
    every, period = asked.application.fusion.weight_history(_STEPS), asked.period
    steps = [step for step in every if period.start <= step.outcome.matured_at <= period.end]
    names = sorted({name for step in steps for name in step.weights})
    rows: list[dict[str, Any]] = [
        {"at": step.outcome.matured_at, **{name: step.weights.get(name) for name in names}, "loss": step.loss}
        for step in steps
    ]
    last = {row["at"]: row for row in rows}  # outcomes that matured together are one step of the chart
    series = {engine_label(name): [row[name] for row in last.values()] for name in names}
    return Panel(
        "Whom outcomes made the system believe",
        (Column("at", "Matured", "time", "UTC"), *(Column(name, engine_label(name), "share") for name in names),
         Column("loss", "Log loss", "number", "nats")),
        rows,
        Empty("No outcome matured in this time." if every else "No outcome has matured yet.",
              "Weights move when matches that were shown are accepted, delivered or rejected. "
              + ("Choose a longer time." if every else "Rate a match to begin."), "/matches", "Try a match"),
        chart=charts.lines(list(last), series, "%", (0, 1)) if rows else None,
        note="Fixed-share Hedge (Herbster and Warmuth, 1998): each matured outcome moves weight towards the engines "
        "that foresaw it. They answer only where an adaptive model is active.",
        topics=("models", "feedback"),
        width=12,
    )  # fmt: skip


def _use(model: str) -> Action:
    question = f"Let {model} answer from the next request on?"
    return Action("Use", "/act/fusion", question, reason=True, values={"model": model})


def _figures(metrics: Mapping[str, Any]) -> str | None:
    plain = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in plain.items()) or None


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
