"""Models: what serves, which versions there are, how good they are, and why one was or was not deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ism.app.phrases import engine_label
from ism.app.web import charts
from ism.app.web.page import Asked, Filter, Page
from ism.app.web.panel import ACTIONS, LINKS, Action, Column, Empty, Panel, Row
from ism.app.web.views import fusion, heard
from ism.app.web.views import quality as service
from ism.domain.retraining import Deployment, GateLook, ModelVersion
from ism.engines import catalog

_ROWS = 200
_FITTED = "as fitted at the start"
_NO_VERSION = Empty(
    "No version has been trained yet.",
    "The engines answer as they were fitted at the start. Ask for a retraining to get a version that was judged.",
    "/jobs",
    "Ask for a retraining",
)


def names(asked: Asked) -> list[str]:
    """The models to look at: the one that the address names, or all."""
    known = list(dict.fromkeys([*catalog.names(), *(each.model_name for each in versions_of(asked))]))
    chosen = asked.chosen.get("model")
    return [chosen] if chosen in known else known


def versions_of(asked: Asked) -> list[ModelVersion]:
    """All versions, newest first."""
    found = asked.application.store.retraining.versions()
    return sorted(found, key=lambda each: each.created_at, reverse=True)


def serving(asked: Asked) -> Panel:
    """What answers under each name."""
    store = asked.application.store.retraining
    numbers = {each.version_id: each.number for each in versions_of(asked)}
    rows: list[Row] = []
    for name in names(asked):
        now = store.deployment(name)
        challenger = _version(now.challenger, numbers)
        rows.append(
            {
                "model": engine_label(name), "serves": _version(now.champion, numbers) or _FITTED,
                "previous": _before(now, numbers), "challenger": challenger and f"{challenger}, {now.mode}",
                "share": now.share if now.challenger else None,
                ACTIONS: [_rollback(name, now, numbers)] if asked.may_manage and _before(now, numbers) else (),
                LINKS: {"model": asked.address("/models", model=name)},
            }
        )  # fmt: skip
    return Panel(
        "What serves",
        (Column("model", "Model"), Column("serves", "Champion"), Column("previous", "Before it"),
         Column("challenger", "Challenger"), Column("share", "Canary share", "share")),
        rows,
        _NO_VERSION,
        note="A rollback returns at once to what served before; nothing is trained.",
        topics=("models",),
        width=12,
    )  # fmt: skip


def _version(identifier: str | None, numbers: Mapping[str, int]) -> str | None:
    return f"version {numbers[identifier]}" if identifier and identifier in numbers else None


def _before(now: Deployment, numbers: Mapping[str, int]) -> str | None:
    """What a rollback returns to; None where nothing was ever promoted."""
    if now.previous is not None:
        return _version(now.previous, numbers) or "the version before"
    return None if now.champion is None else _FITTED


def _rollback(name: str, now: Deployment, numbers: Mapping[str, int]) -> Action:
    before = _before(now, numbers)
    which = f"the engine {_FITTED}" if before == _FITTED else f"{before} of {engine_label(name)}"
    question = f"Let {which} answer again?"
    return Action("Roll back", f"/act/models/{name}", question, reason=True)


def quality(asked: Asked) -> Panel:
    """What the gate measured, look by look."""
    looks = [look for name in names(asked) for look in _looks(asked, name)]
    looks.sort(key=lambda look: look.at)
    rows = [
        {"at": look.at, "model": engine_label(look.model_name), "challenger": measured(look),
         "gain": _gain(look, "mean"), "low": _gain(look, "low"), "high": _gain(look, "high"), "verdict": look.verdict}
        for look in looks
    ]  # fmt: skip
    told = sorted({look.model_name for look in looks})
    series = {
        engine_label(name): [measured(look) if look.model_name == name else None for look in looks] for name in told
    }
    at, values = [look.at for look in looks], [measured(look) is not None for look in looks]
    return Panel(
        "Quality at the gate",
        (Column("at", "Judged", "time", "UTC"), Column("model", "Model"), Column("challenger", "nDCG@10", "number"),
         Column("gain", "Against the hardest rival", "number"), Column("low", "At least", "number"),
         Column("high", "At most", "number"), Column("verdict", "Verdict", "state")),
        rows,
        Empty("The gate has judged nothing in this time.", "Quality is measured whenever a challenger is judged; "
              "choose a longer time or ask for a retraining.", "/jobs", "Ask for a retraining"),
        chart=charts.lines(at, series, bounds=(0, 1), marks=_marks(asked)) if any(values) else None,
        note="nDCG@10 of each challenger on the exchanges that the gate kept aside; upright lines are promotions and "
        "rollbacks. Bounds are of the difference to the hardest rival, clustered by company.",
        topics=("models",),
        width=12,
    )  # fmt: skip


def gate(asked: Asked) -> Panel:
    """Why the latest challenger was or was not deployed."""
    looks = [looks[-1] for name in names(asked) if (looks := asked.application.store.retraining.looks(name))]
    latest = max(looks, key=lambda look: look.at, default=None)
    checks = [] if latest is None else latest.evidence["checks"]
    rows = [
        {"check": each["name"].replace("_", " ").capitalize(), "verdict": each["verdict"], "reason": each["reason"]}
        for each in checks
    ]
    return Panel(
        "Why it was or was not deployed" + (f": {engine_label(latest.model_name)}" if latest else ""),
        (Column("check", "Check"), Column("verdict", "Verdict", "state"), Column("reason", "Why")),
        rows,
        Empty("No challenger has been judged.", "Ask for a retraining; its evidence stands here, check by check.",
              "/jobs", "Ask for a retraining"),
        note=_verdict(latest) if latest else "",
        topics=("models",),
        width=12,
    )  # fmt: skip


_MEANS = {
    "PASS": "it may stage, and serves once its canary has held.",
    "HOLD": "nothing changes until more is known.",
    "REJECT": "it is refused; the champion stays.",
}


def _verdict(look: GateLook) -> str:
    return f"Look {look.number}, {look.at:%Y-%m-%d %H:%M} UTC: {look.verdict}; {_MEANS[look.verdict]} Any check that "\
        "fails or cannot be computed holds it back."  # fmt: skip


def versions(asked: Asked) -> Panel:
    """Every version with its lineage."""
    wanted = set(names(asked))
    found = [each for each in versions_of(asked) if each.model_name in wanted]
    rows: list[Row] = [
        {
            "model": engine_label(each.model_name), "number": each.number, "at": each.created_at, "gate": each.gate,
            "quality": each.metrics.get("ndcg@10"), "snapshot": each.snapshot[:12], "artifact": each.artifact[:12],
            "code": each.code_version,
            "params": ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in each.params.items()),
            "files": "kept" if each.retired_at is None else f"gone since {each.retired_at:%Y-%m-%d}",
        }
        for each in found[:_ROWS]
    ]  # fmt: skip
    return Panel(
        "Versions",
        (Column("model", "Model"), Column("number", "Version", "number"), Column("at", "Made", "time", "UTC"),
         Column("gate", "Gate", "state"), Column("quality", "nDCG@10", "number"), Column("params", "Parameters"),
         Column("snapshot", "Learnt from", "code"), Column("artifact", "Artifact", "code"),
         Column("code", "Code", "code"), Column("files", "Files")),
        rows,
        _NO_VERSION,
        note="Snapshot and artifact are the beginnings of SHA-256 digests.",
        topics=("models",),
        width=12,
        cards=True,
        total=len(found),
    )  # fmt: skip


_NOT_THEN = Empty("Nothing that serves was changed in this time.", "Choose a longer time to see earlier changes.")
_NEVER = Empty("Nothing that serves was ever changed.", "Promotions, canaries and rollbacks are written down here.")


def ledger(asked: Asked) -> Panel:
    """Every change of what serves."""
    numbers = {each.version_id: each.number for each in versions_of(asked)}
    store = asked.application.store.retraining
    every = [each for name in names(asked) for each in store.ledger(name)]
    period = asked.period
    inside = (each for each in every if period.start <= each.at <= period.end)
    found = sorted(inside, key=lambda each: each.at, reverse=True)
    rows = [
        {"at": each.at, "model": engine_label(each.model_name), "action": each.action.replace("_", " "),
         "before": _version(each.from_version, numbers), "after": _version(each.to_version, numbers),
         "who": each.actor, "reason": each.reason}
        for each in found[:_ROWS]
    ]  # fmt: skip
    return Panel(
        "What changed",
        (Column("at", "When", "time", "UTC"), Column("model", "Model"), Column("action", "What"),
         Column("before", "Before"), Column("after", "After"), Column("who", "Who"), Column("reason", "Why")),
        rows,
        _NOT_THEN if every else _NEVER,
        topics=("models",),
        width=12,
        cards=True,
        total=len(found),
    )  # fmt: skip


def _looks(asked: Asked, name: str) -> list[GateLook]:
    found, period = asked.application.store.retraining.looks(name), asked.period
    return [look for look in found if period.start <= look.at <= period.end]


def _better(look: GateLook) -> Mapping[str, Any]:
    found = next((check for check in look.evidence["checks"] if check["name"] == "better"), None)
    return {} if found is None else found["numbers"]


def measured(look: GateLook) -> float | None:
    """nDCG@10 of the challenger on the exchanges that the gate kept aside; None where that was not reached."""
    value = _better(look).get("challenger_mean")
    return None if value is None else float(value)


def _gain(look: GateLook, bound: str) -> float | None:
    tests = [test for test in _better(look).values() if isinstance(test, Mapping)]
    hardest = min(tests, key=lambda test: test["low"], default=None)
    return None if hardest is None else hardest[bound]


def _marks(asked: Asked) -> list[charts.Mark]:
    return [mark for name in names(asked) for mark in service.promotions(asked, name)]


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def filters(asked: Asked) -> list[Filter]:
    """Which model to look at."""
    known = dict.fromkeys([*catalog.names(), *(each.model_name for each in versions_of(asked))])
    return [Filter("model", "Model", [(name, engine_label(name)) for name in known])]


PAGE = Page(
    "models",
    "Models",
    "What answers, how good it is, and why it was or was not deployed.",
    {
        "serving": serving,
        "heard": heard.heard,
        "accuracy": service.accuracy,
        "measured": service.measured,
        "use": service.use,
        "quality": quality,
        "gate": gate,
        "versions": versions,
        "ledger": ledger,
        "engines": fusion.engines,
        "fusion": fusion.fusion,
        "weights": fusion.weights,
        "drift": service.drift,
    },
    filters,
    whole={
        "serving": "what serves now",
        "heard": "since each began to serve",
        "measured": "the latest measurement",
        "use": "the last hour",
        "gate": "the latest look",
        "versions": "all versions",
        "engines": "as they are now",
        "fusion": "as they are now",
        "drift": "the last whole week",
    },
)
