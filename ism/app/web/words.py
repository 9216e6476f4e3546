"""Values of a table as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ism.app.phrases import amount
from ism.app.web.panel import Column

NOTHING = "–"
_STEPS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))
_GOOD = frozenset(
    {"ok", "healthy", "completed", "active", "serving", "pass", "baked", "promoted", "released", "ready", "steady"}
)
_BAD = frozenset({"down", "critical", "failed", "reject", "rejected", "rolled back", "fail", "error", "lost"})
_WARN = frozenset(
    {"warning", "notice", "degraded", "starting", "hold", "held", "deferred", "stale", "open", "refused", "drifted"}
)


def cell(value: Any, column: Column) -> str:
    """A value of a column; `NOTHING` where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    say = _SAY.get(column.kind)
    return str(value) if say is None else say(value)


def duration(seconds: float) -> str:
    """A length of time in one unit: ``3 min``."""
    size = abs(seconds)
    if size < 1:
        return f"{1000 * size:.0f} ms"
    length, unit = next((step for step in _STEPS if size >= step[0]), _STEPS[-1])
    return f"{size / length:.0f} {unit}" if size / length >= 10 or unit == "s" else f"{size / length:.1f} {unit}"


def share(value: float) -> str:
    """A share of 1 in per cent."""
    return f"{100 * value:.0f} %" if value in {0.0, 1.0} or abs(value) >= 0.1 else f"{100 * value:.1f} %"


def large(value: float) -> str:
    """A number with three significant digits, in thousands or millions where it is large."""
    for least, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if abs(value) >= least:
            return f"{value / least:.3g}{word}"
    return amount(value)


def size(value: float) -> str:
    """Bytes, in the unit that keeps the number short."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def moment(value: datetime | str) -> str:
    """A time in UTC, to the minute."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M}"


def age(value: datetime | str) -> str:
    """How long ago a time was."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{duration((datetime.now(UTC) - found).total_seconds())} ago"


def tone(value: object) -> str:
    """How a state is to be taken; the word itself says it too."""
    word = str(value).lower().replace("_", " ")
    return "good" if word in _GOOD else "bad" if word in _BAD else "warn" if word in _WARN else ""


def _state(value: object) -> str:
    return str(value).replace("_", " ").lower()


_SAY: dict[str, Callable[[Any], str]] = {
    "number": amount,
    "share": share,
    "time": moment,
    "age": age,
    "seconds": duration,
    "bytes": size,
    "state": _state,
}
