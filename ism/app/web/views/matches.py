"""Matches: a list as it was shown, for the page of matches; what made it is told on that page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ism.app.phrases import engine_label
from ism.app.verdict import receiver_name
from ism.app.web import charts, words
from ism.app.web.page import Asked, Page
from ism.app.web.panel import Column, Empty, Panel, Row
from ism.domain.errors import NotFoundError
from ism.domain.market import Recommendation

if TYPE_CHECKING:
    from ism.app.wiring import Application

_KINDS = {"company": "Listed company", "sector": "Sector to approach"}


def shown_before(application: Application, request: str) -> list[Recommendation]:
    """What was shown for a request, by rank; empty where the log does not hold it."""
    try:
        return application.store.get_request(request)
    except NotFoundError:
        return []


def listed(asked: Asked) -> Panel:
    """The receivers of one request as they were logged, by rank; the filter ``request`` names it."""
    application = asked.application
    name = asked.chosen.get("request", "")
    found = shown_before(application, name)
    engines = sorted({engine for each in found for engine in each.engine_scores})
    rows: list[Row] = [
        {
            "rank": each.rank, "receiver": receiver_name(application, each.receiver_id),
            "kind": _KINDS[each.receiver_kind], "score": each.final_score, "confidence": each.confidence,
            **{engine: each.engine_scores.get(engine) for engine in engines},
        }
        for each in found
    ]  # fmt: skip
    material = found[0].offer.get("material") if found else None
    shown = found[0].created_at if found else None
    names = [f"{row['rank']} {row['receiver']}" for row in rows]
    return Panel(
        f"Receivers for {material}" if material else "The list",
        (Column("rank", "Rank", "number"), Column("receiver", "Receiver"), Column("kind", "Kind"),
         Column("score", "Score", "number"), Column("confidence", "Confidence", "number"),
         *(Column(engine, engine_label(engine), "share") for engine in engines)),
        rows,
        Empty("The log holds no list of this name.", "Find receivers with the form; each list gets an address of its "
              "own.", "/matches", "Find receivers"),
        chart=charts.bars(names, [round(each.final_score, 3) for each in found]),
        note=(f"Shown {words.moment(shown)} UTC. " if shown else "") + "Bars are scores. Of each engine stands the "
        "calibrated probability that it gave; none where it was silent.",
        width=12,
    )  # fmt: skip


PAGE = Page("matches", "Matches", "Who could use this offer, and why.", {"list": listed}, timed=False)
