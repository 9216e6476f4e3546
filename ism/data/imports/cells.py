"""Readers of single cells: a cell as it stands in a file to a domain value.

Each maker returns a reader ``read(cell, dot_may_group)``. A cell is what the file holds (text from CSV; text, number,
boolean or date from XLSX) and never blank. A reader returns the value or raises `InvalidInputError`, whose remedy says
what to write instead.
"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime

from ism.domain.errors import InvalidInputError

Reader = Callable[[object, bool], object]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_DIGITS_IN_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?P<mark>[ '’.,])[0-9]{3})(?:(?P=mark)[0-9]{3})*", re.ASCII)
_ONE_MARK_LAST = re.compile(r"(?P<whole>[+-]?[0-9]+(?:[ '’.,][0-9]{3})*)(?P<decimal>[.,])(?P<rest>[0-9]+)", re.ASCII)
_MARKS = re.compile(r"[ '’.,]")
_GERMAN_DATE = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", re.ASCII)
_TRUTH = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}


def text(limit: int) -> Reader:
    """Text of at most ``limit`` characters, without control characters other than line breaks and tabs."""

    def read(cell: object, dot_may_group: bool) -> str:
        return _text(cell, limit)

    return read


def code(parse: Callable[[str], str]) -> Reader:
    """A code of a classification."""

    def read(cell: object, dot_may_group: bool) -> str:
        if isinstance(cell, date):
            raise InvalidInputError(
                "", cell, "The spreadsheet turned this code into a date; format the column as text."
            )
        return parse(_text(cell, 100))

    return read


def choice(*allowed: str) -> Reader:
    """One of a few words, in any case."""

    def read(cell: object, dot_may_group: bool) -> str:
        word = _text(cell, 100).lower()
        if word not in allowed:
            raise InvalidInputError("", cell, f"Write {' or '.join(allowed)}.")
        return word

    return read


def number(low: float, high: float, unit: str) -> Reader:
    """A finite number from ``low`` to ``high``; a comma or dot that could mean two things is refused."""

    def read(cell: object, dot_may_group: bool) -> float:
        readings = [_float(cell)] if isinstance(cell, int | float) else _readings(_text(cell, 100), dot_may_group)
        if isinstance(cell, bool) or not readings:
            raise InvalidInputError("", cell, f"Write a plain number in {unit}, such as 1234.5, without its unit.")
        if not all(math.isfinite(reading) for reading in readings):
            raise InvalidInputError("", cell, f"Write a finite number in {unit}.")
        fitting = sorted({reading for reading in readings if low <= reading <= high})
        if not fitting:
            raise InvalidInputError("", cell, f"It must lie between {low:,.10g} and {high:,.10g} {unit}.")
        if len(fitting) > 1:
            raise InvalidInputError(
                "", cell, f"It could mean {fitting[0]:g} or {fitting[1]:g}; write it without a thousands mark."
            )
        return fitting[0]

    return read


def year(low: int, high: int) -> Reader:
    """A year in four digits."""

    def read(cell: object, dot_may_group: bool) -> int:
        digits = _text(cell, 100)
        if isinstance(cell, bool) or not re.fullmatch(r"[0-9]{4}", digits, re.ASCII) or not low <= int(digits) <= high:
            raise InvalidInputError("", cell, f"Write a year from {low} to {high} in four digits.")
        return int(digits)

    return read


def boolean() -> Reader:
    """Yes or no."""

    def read(cell: object, dot_may_group: bool) -> bool:
        truth = _TRUTH.get(_text(cell, 100).lower())
        if truth is None:
            raise InvalidInputError("", cell, "Write yes or no.")
        return truth

    return read


def day() -> Reader:
    """A date: a date cell, ``2026-01-31`` or ``31.1.2026``; forms with slashes differ by country and are refused."""

    def read(cell: object, dot_may_group: bool) -> date:
        if isinstance(cell, datetime):
            return cell.date()
        if isinstance(cell, date):
            return cell
        written = _text(cell, 100)
        german = _GERMAN_DATE.fullmatch(written)
        try:
            return date(int(german[3]), int(german[2]), int(german[1])) if german else _iso_date(written)
        except ValueError:
            raise InvalidInputError("", cell, "Write a real date as YYYY-MM-DD, such as 2026-01-31.") from None

    return read


def unescaped(written: str) -> str:
    """A text without the apostrophe that an export put before a formula sign (the inverse of `export.escaped`)."""
    return written[1:] if written.startswith("'") and _ESCAPED.match(written) else written


def _iso_date(written: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written, re.ASCII):
        raise ValueError(written)
    return date.fromisoformat(written)


def _text(cell: object, limit: int) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    written = unescaped(cell.strip() if isinstance(cell, str) else str(cell))
    if len(written) > limit:
        raise InvalidInputError("", cell, f"It has {len(written):,} characters; at most {limit:,} are accepted.")
    if found := _CONTROL.search(written):
        raise InvalidInputError("", cell, f"It holds the control character U+{ord(found.group()):04X}; remove it.")
    return written


def _float(cell: int | float) -> float:
    try:
        return float(cell)
    except OverflowError:  # a spreadsheet may hold an integer of hundreds of digits
        return math.inf


def _readings(written: str, dot_may_group: bool) -> list[float]:
    """What a written number may mean: nothing, one number, or two where a mark may be decimal or thousands."""
    written = " ".join(written.split())
    readings = []
    if _PLAIN.fullmatch(written):
        readings.append(float(written))
        if not dot_may_group:  # a dot is decimal wherever the file is not of the semicolon kind
            return readings
    if _DIGITS_IN_GROUPS.fullmatch(written):
        readings.append(float(_MARKS.sub("", written)))
    parts = _ONE_MARK_LAST.fullmatch(written)
    if parts:
        grouping = set(_MARKS.findall(parts["whole"]))
        if len(grouping) <= 1 and parts["decimal"] not in grouping:
            readings.append(float(_MARKS.sub("", parts["whole"]) + "." + parts["rest"]))
    if not readings and written.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        readings.append(math.nan)
    return readings
