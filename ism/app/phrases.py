"""Figures of a match as people read them, the same on the page and in the terminal."""

from __future__ import annotations

from typing import Any

_LABELS = {
    "knowledge_graph": "Knowledge graph",
    "matching": "Matching",
    "gnn": "Graph network",
    "federated": "Federated",
}
UNKNOWN = "not known"


def engine_label(name: str) -> str:
    """An engine's name for people."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def amount(value: float) -> str:
    """A number with three significant digits or whole, and a true minus sign."""
    size = abs(value)
    text = f"{size:,.0f}" if size >= 100 or size == round(size) else f"{size:.1f}" if size >= 10 else f"{size:.2g}"
    return f"−{text}" if value < 0 and text.strip("0.,") else text


def span(interval: dict[str, Any]) -> str:
    """The bounds of an interval: ``−12 to 3``."""
    return f"{amount(interval['low'])} to {amount(interval['high'])}"


def effect(interval: dict[str, Any] | None, unit: str) -> str:
    """An effect in words: a negative central value is a saving.

    Args:
        interval: ``low``, ``central``, ``high``.
        unit: such as ``€/t``.
    """
    if interval is None:
        return UNKNOWN
    central = interval["central"]
    verb = "saves" if central < 0 else "adds"
    return f"{verb} {amount(abs(central))} {unit}"


def distance(km: float | None) -> str:
    """A distance, coarser the longer it is."""
    if km is None:
        return UNKNOWN
    return f"{km:.1f} km" if km < 10 else f"{km:,.0f} km"


def tonnes(value: float | None) -> str:
    """A yearly quantity."""
    return UNKNOWN if value is None else f"{amount(value)} t/yr"


def sector(receiver: dict[str, Any]) -> str:
    """A receiver's sector with its code."""
    code, title = receiver.get("nace"), receiver.get("nace_title", "")
    return f"{title} ({code})" if code and title else code or ""
