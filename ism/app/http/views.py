"""Answers and the OpenAPI document as the templates want them: nothing but texts and numbers."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from ism.app import phrases
from ism.domain.engine import Reason
from ism.domain.match import Match, MatchResult

_KNOWN = ("matching", "knowledge_graph", "gnn", "federated")
_SCALE_PAD = 0.06
_LEADING = 2  # reasons that are shown at once; the rest unfold


def answer_view(result: MatchResult) -> dict[str, Any]:
    """A ranked answer for the page."""
    matches = [asdict(match) for match in result.matches]
    return {
        "material": result.offer.material,
        "matches": [_match_view(match, plain) for match, plain in zip(result.matches, matches, strict=True)],
        "notes": list(result.notes),
        "missing": [f"{phrases.engine_label(name)}: {why}" for name, why in result.missing_engines.items()],
        "missing_names": [phrases.engine_label(name) for name in result.missing_engines],
        "versions": [f"{phrases.engine_label(name)} {version}" for name, version in result.model_versions.items()],
        "request_id": result.request_id,
        "hazard": result.matches[0].hazard if result.matches else "",
    }


def _match_view(match: Match, plain: dict[str, Any]) -> dict[str, Any]:
    estimate = plain["estimate"]
    reasons = [_reason_view(reason) for reason in match.reasons]
    return {
        "rank": match.rank,
        "recommendation_id": match.recommendation_id,
        "token": uuid.uuid4().hex,  # of what will be said of it
        "name": match.receiver.name,
        "is_company": match.receiver.kind == "company",
        "sector": phrases.sector(plain["receiver"]),
        "country": match.receiver.country,
        "score": round(100 * match.final_score),
        "confidence": round(100 * match.confidence),
        "bars": _bars(match.engine_contributions),
        "reasons": reasons[:_LEADING],
        "more_reasons": reasons[_LEADING:],
        "distance": phrases.distance(match.distance_km),
        "tonnes": phrases.tonnes(match.quantity_t_per_year),
        "cost": _interval_view(estimate["cost_eur_per_t"], "€/t"),
        "carbon": _interval_view(estimate["co2e_kg_per_t"], "kg CO₂e/t"),
        "factors": [
            {**factor, "shown": phrases.amount(factor["value"]["central"]), "span": phrases.span(factor["value"])}
            for factor in estimate["factors"]
        ],
        "missing": list(estimate["missing"]),
        "hazard": match.hazard,
    }


def _bars(contributions: dict[str, float]) -> list[dict[str, Any]]:
    """Segments of one bar, 0 to 100 wide, end to end."""
    bars, start = [], 0.0
    for name, share in sorted(contributions.items(), key=lambda item: -item[1]):
        width = 100 * max(share, 0.0)
        colour = name if name in _KNOWN else "other"
        label = phrases.engine_label(name)
        bars.append({"label": label, "colour": colour, "x": round(start, 2), "width": round(width, 2), "share": share})
        start += width
    return bars


def _reason_view(reason: Reason) -> dict[str, Any]:
    """A reason without the word that stands beside it as a label, and its sources one by one."""
    text = reason.text
    prefix = f"{reason.kind.capitalize()}: "
    return {
        "text": text.removeprefix(prefix),
        "kind": reason.kind,
        "sources": [source for source in reason.source.split("; ") if source],
    }


def _interval_view(interval: dict[str, float] | None, unit: str) -> dict[str, Any] | None:
    """An interval on an axis of its own, which holds zero; one axis for all rows would be ruled by the farthest."""
    if interval is None:
        return None
    least, most = min(0.0, interval["low"]), max(0.0, interval["high"])
    pad = (most - least or 1.0) * _SCALE_PAD

    def place(value: float) -> float:
        return round(100 * (value - least + pad) / (most - least + 2 * pad), 2)

    return {
        "text": phrases.effect(interval, unit),
        "saves": interval["central"] < 0,
        "span": f"{phrases.span(interval)} {unit}",
        "low": place(interval["low"]),
        "width": max(place(interval["high"]) - place(interval["low"]), 0.8),
        "central": place(interval["central"]),
        "zero": place(0.0),
    }


def reference_view(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document as a page: operations by subject, then the shapes that they use."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation_view(path, method, operation))
    schemas = document["components"]["schemas"]
    return {
        "groups": groups,
        "shapes": [_shape_view(name, schema) for name, schema in sorted(schemas.items()) if "properties" in schema],
    }


def _operation_view(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = next(iter(operation.get("requestBody", {}).get("content", {}).items()), None)
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", "").replace("`", ""),
        "parameters": [
            {**parameter, "kind": _type_name(parameter["schema"]), "description": parameter.get("description", "")}
            for parameter in operation.get("parameters", [])
        ],
        "body": None if body is None else {"media": body[0], "kind": _type_name(body[1]["schema"])},
        "responses": [
            {"status": status, "description": response["description"], "kind": _response_type(response)}
            for status, response in sorted(operation["responses"].items())
        ],
    }


def _response_type(response: dict[str, Any]) -> str:
    content: dict[str, Any] = next(iter(response.get("content", {}).values()), {})
    return _type_name(content["schema"]) if content.get("schema") else ""


def _shape_view(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    return {
        "name": name,
        "description": schema.get("description", "").split("\n\n")[0],
        "fields": [
            {
                "name": field,
                "kind": _type_name(value),
                "required": field in required,
                "description": value.get("description", ""),
            }
            for field, value in schema["properties"].items()
        ],
    }


def _type_name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_type_name(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type_name(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")
