"""Quality in service: what matured labels say of each model, what is to be expected before they mature, and drift."""

from __future__ import annotations

from collections.abc import Mapping

from ism.app.phrases import engine_label
from ism.app.web import charts
from ism.app.web.page import Asked
from ism.app.web.panel import LINKS, Column, Empty, Panel, Row
from ism.app.web.series import read_series
from ism.engines import catalog
from ism.monitoring.quality import FUSION, LEAST_REQUESTS

_HOUR_S = 3600
_NOT_YET = Empty(
    "No quality is known for this time.",
    f"At least {LEAST_REQUESTS} requests need good and bad labels that have matured; accept, reject or rate matches.",
    "/matches",
    "Try a match",
)
_FIELDS = ("accuracy", "low", "high", "n", "estimate", "estimate_low", "estimate_high", "estimate_error")


def label_of(model: str) -> str:
    """A model's name for people."""
    return "Fused lists" if model == FUSION else engine_label(model)


def accuracy(asked: Asked) -> Panel:
    """nDCG@10 on matured labels over time, and the estimate that is ahead of them."""
    chosen = asked.chosen.get("model", "")
    model = chosen if chosen in catalog.names() else FUSION
    metrics = {name: f"model.{name}:{model}" for name in _FIELDS}
    found = read_series(asked.application.store, metrics, asked.period, _HOUR_S)
    rows = [row for row in found.rows() if row["accuracy"] is not None or row["estimate"] is not None]
    values = found.values
    series = {"Measured": values["accuracy"], "Expected of the last week": values["estimate"]}
    bands = {
        "Measured": (values["low"], values["high"]),
        "Expected of the last week": (values["estimate_low"], values["estimate_high"]),
    }
    return Panel(
        f"Quality in service: {label_of(model)}",
        (Column("at", "At", "time", "UTC"), Column("accuracy", "nDCG@10", "number"),
         Column("low", "At least", "number"),
         Column("high", "At most", "number"), Column("n", "Requests", "number"),
         Column("estimate", "Expected", "number"), Column("estimate_low", "Expected at least", "number"),
         Column("estimate_high", "Expected at most", "number"), Column("estimate_error", "Erred lately by", "number")),
        rows,
        _NOT_YET,
        chart=charts.lines(found.at, series, "", (0, 1), promotions(asked, model), bands) if rows else None,
        note="Measured: requests with good and bad labels that matured in 28 days, with 95 % intervals. Expected: what "
        "the last week's scores promise before their labels mature; it sees weaker lists and other offers, but not "
        "people who want something else or a calibration that became wrong. Upright lines: promotions and rollbacks.",
        topics=("metrics", "models"),
        width=12,
    )  # fmt: skip


def promotions(asked: Asked, model: str) -> list[charts.Mark]:
    """Promotions and rollbacks of a model in the period; those of every engine for the fused lists."""
    store, period = asked.application.store.retraining, asked.period
    names = catalog.names() if model == FUSION else [model]
    return [
        (entry.at, entry.action.replace("_", " "))
        for name in names
        for entry in store.ledger(name)
        if entry.action in {"promote", "rollback"} and period.start <= entry.at <= period.end
    ]


def measured(asked: Asked) -> Panel:
    """How good every model was at its last measurement."""
    return Panel(
        "Quality now",
        (Column("model", "Model"), Column("accuracy", "nDCG@10", "number"), Column("interval", "95 %", "code"),
         Column("n", "n", "number"), Column("estimate", "Expected", "number"),
         Column("calibration", "Calibration", "share"), Column("coverage", "Coverage", "share"),
         Column("rating", "Rating", "number", "1 to 5"), Column("missing", "What is missing, and why")),
        [_quality_of(asked, model, latest) for model, latest in _newest(asked)],
        _UNMEASURED,
        note="n: requests that quality rests on. Calibration: how far probabilities lie from what came. Coverage: "
        "share of the labelled recommendations that the model scored.",
        topics=("metrics",),
        width=12,
        cards=True,
    )  # fmt: skip


def use(asked: Asked) -> Panel:
    """How much every model was asked in the last hour, and how it answered."""
    return Panel(
        "Use in the last hour",
        (Column("model", "Model"), Column("throughput", "Asked", "number", "1/h"), Column("latency", "p95", "seconds"),
         Column("confidence", "Confidence", "share"), Column("missing", "What is missing, and why")),
        [_use_of(asked, model, latest) for model, latest in _newest(asked)],
        _UNMEASURED,
        note="p95: one answer in twenty took longer.",
        topics=("metrics",),
        width=12,
        cards=True,
    )  # fmt: skip


_UNMEASURED = Empty(
    "No model was measured in the last two hours.",
    "Models are measured once an hour, first a minute after the start, unless ISM_MONITORING_ENABLED=false.",
)


def _newest(asked: Asked) -> list[tuple[str, Mapping[str, float]]]:
    """Each model with the newest measurements of all; nothing where no model was measured."""
    board = asked.application.monitoring.dashboard
    latest = board.latest()
    return [(model, latest) for model in board.models()] if any(name.startswith("model.") for name in latest) else []


def _quality_of(asked: Asked, model: str, latest: Mapping[str, float]) -> Row:
    fields = ("accuracy", "low", "high", "n", "estimate", "calibration", "coverage", "feedback_score")
    of = {name: latest.get(f"model.{name}:{model}") for name in fields}
    low, high = of["low"], of["high"]
    lacks = []
    if of["accuracy"] is None:
        lacks.append(f"Quality: {of['n'] or 0:.0f} of the {LEAST_REQUESTS} requests needed have good and bad labels.")
    if of["feedback_score"] is None:
        lacks.append("Rating: none names it.")
    return {
        **_row(asked, model, lacks),
        "accuracy": of["accuracy"], "interval": None if low is None or high is None else f"{low:.2f} to {high:.2f}",
        "n": of["n"], "estimate": of["estimate"], "calibration": of["calibration"], "coverage": of["coverage"],
        "rating": of["feedback_score"],
    }  # fmt: skip


def _use_of(asked: Asked, model: str, latest: Mapping[str, float]) -> Row:
    latency = latest.get("match_latency_p95_s" if model == FUSION else f"model.latency:{model}")
    throughput = latest.get(f"model.throughput:{model}")
    return {
        **_row(asked, model, ["Latency: nothing was asked for."] if latency is None else []),
        "throughput": None if throughput is None else 3600 * throughput, "latency": latency,
        "confidence": latest.get(f"model.confidence:{model}"),
    }  # fmt: skip


def _row(asked: Asked, model: str, lacks: list[str]) -> Row:
    link = asked.address("/models", model=model) + "#panel-accuracy"
    return {"model": label_of(model), "missing": " ".join(lacks) or None, LINKS: {"model": link}}


def _of_what(name: str) -> str:
    kind, _, engine = name.partition(":")
    return f"Score of {engine_label(engine)}" if engine else kind.replace("_", " ").capitalize()


def drift(asked: Asked) -> Panel:
    """Whether offers and scores are distributed as they were."""
    found = asked.application.monitoring.dashboard.drift()
    rows = [
        {
            "name": _of_what(str(each["name"])),
            "state": "not known" if each["distance"] is None else "drifted" if each["drifted"] else "steady",
            "distance": each["distance"], "p_value": each["p_value"], "n": each["n"],
            "n_reference": each["n_reference"], "missing": each["missing"],
        }
        for each in found["features"]
    ]  # fmt: skip
    week = f"The week from {found['since'][:10]} to {found['until'][:10]} against the four before it. " if rows else ""
    return Panel(
        "Drift",
        (Column("name", "Of what"), Column("state", "State", "state"), Column("distance", "Distance", "number"),
         Column("p_value", "p", "number"), Column("n", "Requests", "number"),
         Column("n_reference", "Before", "number"), Column("missing", "Why not known")),
        rows,
        Empty(found.get("missing") or "Nothing was matched in these five weeks.", "Weeks are compared once, when they "
              "have ended."),
        note=f"{week}Largest distance of the two distributions (Kolmogorov and Smirnov), of kinds their total "
        "variation (chi-squared test); drifted is a distance of at least 0.10 that is significant among all "
        "(Benjamini and Hochberg). Without drift at most one month in twenty raises a false alarm.",
        topics=("metrics",),
        width=12,
        cards=True,
    )  # fmt: skip
