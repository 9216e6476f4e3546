"""Overview: is it well, is it good, are people content, what was exchanged, and what needs somebody."""

from __future__ import annotations

from collections import Counter

from ism.app.web.flows import total
from ism.app.web.page import Asked, Page
from ism.app.web.panel import Column, Empty, Panel, Tile
from ism.app.web.views import feedback, system
from ism.app.web.words import large, share

_NO_ROWS = Empty("Nothing has been measured yet.", "Wait a minute after the first start.")


def numbers(asked: Asked) -> Panel:
    """Four numbers, each with its trend and the way to its cause."""
    tiles = [health(asked), satisfaction(asked), exchanges(asked)]
    return Panel(
        "At a glance",
        (Column("what", "What"), Column("value", "Value"), Column("detail", "Rests on")),
        [{"what": tile.label, "value": tile.value or "not known yet", "detail": tile.detail} for tile in tiles],
        _NO_ROWS,
        tiles=tiles,
        topics=("feedback", "market", "components", "metrics"),
        width=12,
    )


def health(asked: Asked) -> Tile:
    """How the components are."""
    states = Counter(each["state"] for each in asked.application.components().values())
    word = "Critical" if states["down"] else "Starting" if states["starting"] else "Healthy"
    tone = "bad" if states["down"] else "warn" if states["starting"] else ""
    detail = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return Tile("Health", word, f"Components: {detail}", tone=tone, address=asked.address("/system"))


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


PAGE = Page(
    "overview",
    "Overview",
    "Is it well, is it good, are people content, and what needs you.",
    {
        "numbers": numbers,
        "components": system.components,
        "satisfaction": feedback.satisfaction,
        "volume": feedback.volume,
    },
)
