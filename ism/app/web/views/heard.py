"""What people said of each model since it began to serve, and how near that brings a retraining."""

from __future__ import annotations

from datetime import UTC, datetime

from ism.app.web import words
from ism.app.web.page import Asked
from ism.app.web.panel import LINKS, Column, Empty, Panel, Row
from ism.app.web.views.quality import label_of
from ism.domain.retraining import LedgerEntry
from ism.engines import catalog
from ism.monitoring.quality import FUSION

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_BEGAN = frozenset({"promote", "rollback"})


def heard(asked: Asked) -> Panel:
    """Ratings and outcomes since what serves began to, model by model."""
    loop = asked.application.feedback.loop
    near = loop.triggering.status()
    limit = loop.rules.triggers.volume
    chosen = asked.chosen.get("model")
    names = [chosen] if chosen in catalog.names() else [FUSION, *catalog.names()]
    rows = [{**_said_of(asked, name), "near": _near(near.get(name), limit)} for name in names]
    return Panel(
        "What people said since it began to serve",
        (Column("model", "Model"), Column("since", "Serves since"), Column("ratings", "Ratings", "number"),
         Column("mean", "Mean rating", "number", "1 to 5"), Column("positive", "4 or 5", "number"),
         Column("negative", "1 or 2", "number"), Column("outcomes", "Outcomes", "number"),
         Column("near", "Towards a retraining")),
        rows,
        Empty("There is no model.", "Look into the list of engines."),
        note="Counted at once; statements in quarantine are left out. A rating on Matches is "
        "one of the fused lists, and outcomes are of them alone. Matches that were settled by it count towards a "
        "retraining of every engine that scored them. Quality follows when enough of them have matured.",
        topics=("feedback", "models"),
        width=12,
        cards=True,
    )  # fmt: skip


def _near(state: dict[str, object] | None, limit: int) -> str | None:
    """How many matured matches there are of those that ask for a retraining."""
    return None if state is None else f"{state['matured_events']} of {limit}"


def _said_of(asked: Asked, name: str) -> Row:
    since = _since(asked, name)
    with asked.application.store.judging(write=False) as tables:
        found = tables.said_by_model(since or _BEGINNING, datetime.now(UTC))
    of, unnamed = found.get(name), found.get(None)
    outcomes = sum(each.statements - each.ratings for each in (of, unnamed) if each) if name == FUSION else None
    return {
        "model": label_of(name), "since": f"{words.moment(since)} UTC" if since else "the first start",
        "ratings": of.ratings if of else 0, "mean": of.mean if of else None,
        "positive": of.positive if of else 0, "negative": of.negative if of else 0, "outcomes": outcomes,
        LINKS: {"ratings": asked.address("/feedback", model="")},
    }  # fmt: skip


def _since(asked: Asked, name: str) -> datetime | None:
    """When it began to serve; None where nothing else ever did."""
    if name == FUSION:
        return next((each.switched_at for each in asked.application.fusion.switches(1)), None)
    began: list[LedgerEntry] = [
        each for each in asked.application.store.retraining.ledger(name) if each.action in _BEGAN
    ]
    return began[-1].at if began else None
