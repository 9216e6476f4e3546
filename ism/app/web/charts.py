"""What charts show, without how they look: charts.js draws it in the colours of the theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Chart = dict[str, Any]
Values = Sequence[float | None]
Mark = tuple[datetime, str]


def lines(
    at: Sequence[datetime],
    series: Mapping[str, Values],
    unit: str = "",
    bounds: tuple[float | None, float | None] = (None, None),
    marks: Sequence[Mark] = (),
    bands: Mapping[str, tuple[Values, Values]] | None = None,
) -> Chart:
    """Values over time.

    Args:
        at: aware times, as many as each series has values; None in a series is a gap.
        series: name -> values.
        unit: of the values; ``%`` for shares of 1.
        bounds: of the axis; None lets the values decide.
        marks: moments with a word, as upright lines.
        bands: name of a series -> lower and upper bound of each value.
    """
    return {
        "kind": "lines",
        "at": [_milliseconds(time) for time in at],
        "series": [{"name": name, "values": list(values)} for name, values in series.items()],
        "unit": unit,
        "min": bounds[0],
        "max": bounds[1],
        "marks": [{"at": _milliseconds(time), "label": label} for time, label in marks],
        "bands": {name: [list(low), list(high)] for name, (low, high) in (bands or {}).items()},
        "limit": None,
    }


def limited(chart: Chart, value: float, label: str) -> Chart:
    """The same with a level line, and a word at it."""
    return {**chart, "limit": {"value": value, "label": label}}


def columns(at: Sequence[datetime], series: Mapping[str, Values], unit: str = "") -> Chart:
    """Counts over time, stacked."""
    return {**lines(at, series, unit), "kind": "columns"}


def bars(labels: Sequence[str], values: Values, unit: str = "", links: Sequence[str] = ()) -> Chart:
    """A value for each of a few names, the largest first where it was given so."""
    return {"kind": "bars", "labels": list(labels), "values": list(values), "unit": unit, "links": list(links)}


def points(at: Sequence[float], values: Values, best: Values, names: tuple[str, str], unit: str = "") -> Chart:
    """A cloud of values with the best so far."""
    return {"kind": "points", "at": list(at), "values": list(values), "best": list(best), "names": names, "unit": unit}


def geography(sites: Sequence[Sequence[Any]], routes: Sequence[Mapping[str, Any]], unit: str, address: str) -> Chart:
    """Sites (name, longitude, latitude, value, identifier) and routes (``from``, ``to``, ``value``).

    ``address`` followed by a site's identifier is where it leads.
    """
    return {"kind": "map", "sites": list(sites), "routes": list(routes), "unit": unit, "address": address}


def graph(nodes: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> Chart:
    """Nodes (``name``, ``x``, ``y``, ``size``, ``group``, ``link``) and links (``source``, ``target``, ``value``)."""
    return {"kind": "graph", "nodes": list(nodes), "links": list(links), "groups": list(groups)}


def sankey(nodes: Sequence[Mapping[str, Any]], links: Sequence[Mapping[str, Any]], unit: str) -> Chart:
    """Nodes (``id``, ``name``, ``depth``, ``link``) and flows (``source``, ``target``, ``value``, ``link``)."""
    return {"kind": "sankey", "nodes": list(nodes), "links": list(links), "unit": unit}


def parallel(axes: Sequence[Mapping[str, Any]], rows: Sequence[Sequence[Any]], names: Sequence[str]) -> Chart:
    """Rows across axes (``name``, ``categories`` or None); the last axis colours them."""
    return {"kind": "parallel", "axes": list(axes), "rows": [list(row) for row in rows], "names": list(names)}


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
