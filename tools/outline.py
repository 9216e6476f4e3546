"""Country outlines for a small map: from TopoJSON to GeoJSON, without the detail that a small map cannot show."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

Point = tuple[float, float]
_TOLERANCE = 0.06  # degrees; a pixel of a map that shows all of Europe
_DIGITS = 2  # of a degree


def outline(atlas: dict[str, Any]) -> dict[str, Any]:
    """GeoJSON of the countries of a TopoJSON atlas; Antarctica is left out.

    Borders are simplified arc by arc (Douglas and Peucker, 1973), so that neighbours keep sharing them.
    """
    arcs = [_simplified(_decoded(arc, atlas["transform"])) for arc in atlas["arcs"]]
    features = []
    for country in atlas["objects"]["countries"]["geometries"]:
        name = country["properties"]["name"]
        if name != "Antarctica" and (polygons := _polygons(country, arcs)):
            geometry = {"type": "MultiPolygon", "coordinates": polygons}
            features.append({"type": "Feature", "properties": {"name": name}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def _polygons(country: dict[str, Any], arcs: list[list[Point]]) -> list[list[list[Point]]]:
    found = country["arcs"] if country["type"] == "MultiPolygon" else [country["arcs"]]
    polygons = []
    for outer, *holes in found:
        parts = [part for part in _halves(_ring(outer, arcs)) if len(part) > 3]
        if len(parts) == 1:
            polygons.append([parts[0], *(ring for hole in holes if len(ring := _ring(hole, arcs)) > 3)])
        else:
            polygons += [[part] for part in parts]
    return polygons


def _halves(ring: list[Point]) -> list[list[Point]]:
    """A ring that crosses the antimeridian as a ring on either side; any other as it is."""
    sides: dict[bool, list[Point]] = {}
    crosses = any(abs(one[0] - other[0]) > 180 for one, other in pairwise(ring))
    if not crosses:
        return [ring]
    for point in ring:
        sides.setdefault(point[0] >= 0, []).append(point)
    return [[*side, side[0]] for side in sides.values()]


def _decoded(arc: list[list[int]], transform: dict[str, list[float]]) -> list[Point]:
    (scale_x, scale_y), (origin_x, origin_y) = transform["scale"], transform["translate"]
    points, x, y = [], 0, 0
    for step_x, step_y in arc:
        x, y = x + step_x, y + step_y
        points.append((round(x * scale_x + origin_x, _DIGITS), round(y * scale_y + origin_y, _DIGITS)))
    return points


def _ring(numbers: list[int], arcs: list[list[Point]]) -> list[Point]:
    """Arcs end to end; a number below zero means an arc read backwards."""
    ring: list[Point] = []
    for number in numbers:
        points = arcs[number] if number >= 0 else arcs[~number][::-1]
        ring += points[1:] if ring else points
    return ring


def _simplified(points: list[Point]) -> list[Point]:
    """The points without which the line would move by more than the tolerance; a closed line keeps its far point."""
    if points[0] == points[-1] and len(points) > 4:
        far = max(range(len(points)), key=lambda index: _distance(points[index], points[0], points[0]))
        return _simplified(points[: far + 1])[:-1] + _simplified(points[far:])
    kept, parts = {0, len(points) - 1}, [(0, len(points) - 1)]
    while parts:
        start, end = parts.pop()
        inner = range(start + 1, end)
        most = max(inner, key=lambda index: _distance(points[index], points[start], points[end]), default=None)
        if most is not None and _distance(points[most], points[start], points[end]) > _TOLERANCE:
            kept.add(most)
            parts += [(start, most), (most, end)]
    return [points[index] for index in sorted(kept)]


def _distance(point: Point, start: Point, end: Point) -> float:
    """From a point to a line; to its start where it has no length."""
    (x, y), (x1, y1), (x2, y2) = point, start, end
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    if length == 0.0:
        return float(((x - x1) ** 2 + (y - y1) ** 2) ** 0.5)
    return float(abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / length)
