"""Overview: is it well, is it good, are people content, what was exchanged, and what needs somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ism.app.phrases import engine_label
from ism.app.web.flows import total
from ism.app.web.page import Asked, Page
from ism.app.web.panel import LINKS, Column, Empty, Panel, Tile
from ism.app.web.series import read_series
from ism.app.web.views import ahead, alerts, feedback, models
from ism.app.web.words import age, large, share
from ism.engines import catalog
from ism.monitoring.dashboard import HEALTH, health_status
from ism.monitoring.quality import FUSION

_MOST, _SHOWN = 1000, 5
_NO_ROWS = Empty("Nothing has been measured yet.", "Wait a minute after the first start.")


def numbers(asked: Asked) -> Panel:
    """Four numbers, each with its trend and the way to its cause."""
    tiles = [health(asked), quality(asked), satisfaction(asked), exchanges(asked)]
    return Panel(
        "At a glance",
        (Column("what", "What"), Column("value", "Value"), Column("detail", "Rests on")),
        [{"what": tile.label, "value": tile.value or "not known yet", "detail": tile.detail} for tile in tiles],
        _NO_ROWS,
        tiles=tiles,
        topics=("feedback", "market", "components", "alerts", "metrics"),
        width=12,
    )


def health(asked: Asked) -> Tile:
    """The health score, and how the components are."""
    states = Counter(each["state"] for each in asked.application.components().values())
    open_ = asked.application.store.monitoring.alerts(resolved=False, limit=_MOST)
    score = asked.application.monitoring.dashboard.health()
    known = "" if score is None else health_status(score)
    word = "critical" if states["down"] else "starting" if states["starting"] else known
    tone = {"critical": "bad", "starting": "warn", "warning": "warn"}.get(word, "")
    parts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    measured = "nothing measured in two hours" if score is None else f"{score:.0f} of 100"
    detail = f"{measured}: {_open(len(open_))}; components: {parts}"
    found = read_series(asked.application.store, {"score": HEALTH}, asked.period)
    address = asked.address("/alerts" if open_ and not states["down"] else "/system")
    return Tile("Health", word.capitalize(), detail, _thin(found.values["score"]), tone=tone, address=address)


def _open(alerts_: int) -> str:
    return "no open alert" if not alerts_ else f"{alerts_} open alert{'s' if alerts_ > 1 else ''}"


def _thin(values: Sequence[float | None]) -> Sequence[float | None]:
    """At most some hundred of them: a small line shows no more."""
    return values[:: 1 + len(values) // 100]


def quality(asked: Asked) -> Tile:
    """nDCG@10 of the lists on matured labels; where that is not known, of the version that was judged last."""
    latest = asked.application.monitoring.dashboard.latest()
    value, low, high, n = (latest.get(f"model.{name}:{FUSION}") for name in ("accuracy", "low", "high", "n"))
    if value is None or low is None or high is None:
        return _judged(asked)
    found = read_series(asked.application.store, {"accuracy": f"model.accuracy:{FUSION}"}, asked.period, 3600)
    detail = f"nDCG@10 of the lists, {low:.2f} to {high:.2f}, on {n:.0f} requests"
    return Tile("Quality", f"{value:.2f}", detail, _thin(found.values["accuracy"]), address=asked.address("/models"))


def _judged(asked: Asked) -> Tile:
    store, address = asked.application.store.retraining, asked.address("/models")
    looks = sorted((look for name in catalog.names() for look in store.looks(name)), key=lambda look: look.at)
    measured = [(look, value) for look in looks if (value := models.measured(look)) is not None]
    if not measured:
        why = looks[-1].evidence["reasons"] if looks else ["No model has been judged on exchanges that it did not see."]
        return Tile("Quality", "", why[0].removeprefix("evidence: "), address=address)
    look, value = measured[-1]
    detail = f"nDCG@10 of {engine_label(look.model_name)} on unseen exchanges, judged {age(look.at)}"
    return Tile("Quality", f"{value:.2f}", detail, [each for _, each in measured], address=address)


def satisfaction(asked: Asked) -> Tile:
    """Mean rating in the period."""
    found = feedback.said(asked)
    ratings = sum(each.ratings for each in found)
    steps = feedback.every_step(asked, found)
    trend = [each.mean if each else None for _, each in steps]
    address = asked.address("/feedback")
    if not ratings:
        return Tile("Satisfaction", "", "Nobody rated a match in this time", trend, address=address)
    mean = sum((each.mean or 0) * each.ratings for each in found) / ratings
    negative = share(sum(each.negative for each in found) / ratings)
    return Tile("Satisfaction", f"{mean:.1f} of 5", f"{ratings} ratings, {negative} negative", trend, address=address)


def exchanges(asked: Asked) -> Tile:
    """What operates in the market, a year."""
    flows = [flow for flow in asked.flows.current().flows if flow.exchange.status == "operating"]
    known = [flow.tonnes for flow in flows if flow.tonnes is not None]
    address = asked.address("/network", status="operating")
    if not flows:
        return Tile("Exchanges", "", "No exchange operates in this market", address=address)
    cost, climate = total([flow.cost for flow in flows]), total([flow.co2e for flow in flows])
    parts = [f"{large(sum(known))} t"] if known else []
    parts += [f"{large(-1000 * cost.central)} €"] if cost else []
    parts += [f"{large(-climate.central)} t CO₂e"] if climate else []
    detail = (
        f"{', '.join(parts)} saved a year, as far as {len(known)} quantities tell" if known else "No quantity stated"
    )
    started = Counter(flow.exchange.year_start for flow in flows if flow.exchange.year_start is not None)
    running, trend = 0, []
    for year in range(min(started, default=0), max(started, default=-1) + 1):
        running += started[year]
        trend.append(float(running))
    return Tile("Exchanges", f"{len(flows)} operating", detail, trend, address=address)


def attention(asked: Asked) -> Panel:
    """What waits for a person, the most urgent first."""
    rows = [row for find in (alerts.attention, ahead.attention, _broken, _jobs, _kept_out) for row in find(asked)]
    rows.sort(key=lambda row: _ORDER.index(row["severity"]))
    return Panel(
        "What needs you",
        (Column("severity", "How urgent", "state"), Column("what", "What"), Column("do", "What to do")),
        rows,
        Empty("Nothing needs you.", "Components work, no job failed in this time, and nothing waits for a decision."),
        topics=("feedback", "components", "jobs", "alerts"),
        width=12,
        cards=True,
    )


_ORDER = ("critical", "warning", "info", "notice")


def _row(severity: str, what: str, do: str, address: str) -> dict[str, Any]:
    return {"severity": severity, "what": what, "do": do, LINKS: {"what": address}}


def _broken(asked: Asked) -> list[dict[str, Any]]:
    severities = {"down": "critical", "degraded": "warning"}
    return [
        _row(severities[state["state"]], f"{name.replace('_', ' ')}: {state['detail']}",
             "See what it says, mend it, and load again.", asked.address("/system"))
        for name, state in asked.application.components().items()
        if state["state"] in severities
    ]  # fmt: skip


def _jobs(asked: Asked) -> list[dict[str, Any]]:
    failed = asked.application.store.retraining.jobs(states=("FAILED", "ROLLED_BACK"), limit=_MOST)
    recent = [job for job in failed if job.created_at >= asked.period.start and job.status == "failed"]
    return [
        _row("warning", f"Retraining of {engine_label(job.model_name)} failed: {job.error_message}",
             "Read its steps, then retry.", asked.address("/jobs", job=job.job_id))
        for job in recent[:_SHOWN]
    ]  # fmt: skip


def _kept_out(asked: Asked) -> list[dict[str, Any]]:
    letters = len(asked.application.store.feedback.dead_letters("open", None, _MOST))
    held = len(asked.application.feedback.loop.review.quarantined("held", None, _MOST))
    found = []
    if letters:
        found.append(_row("notice", f"Dead letters: {_count(letters)} open", "Replay or discard them.",
                          asked.address("/feedback") + "#panel-letters"))  # fmt: skip
    if held:
        found.append(_row("notice", f"Quarantine: {_count(held)} held", "Release or confirm them.",
                          asked.address("/feedback") + "#panel-quarantine"))  # fmt: skip
    return found


def _count(number: int) -> str:
    return f"{number} or more" if number >= _MOST else str(number)


PAGE = Page(
    "overview",
    "Overview",
    "Is it well, is it good, are people content, and what needs you.",
    {
        "numbers": numbers,
        "attention": attention,
        "satisfaction": feedback.satisfaction,
        "volume": feedback.volume,
    },
    first=("/matches", "Try a match"),
    whole={"attention": "what waits now; of failed jobs those of this time"},
)
