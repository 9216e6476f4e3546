"""A panel: one question, answered by a table and, where it helps, by a chart of the same numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal["text", "number", "share", "time", "age", "seconds", "bytes", "state", "code", "list"]
Row = Mapping[str, Any]
ACTIONS, LINKS = "_actions", "_links"  # keys of a row that are no columns


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a panel's table; ``unit`` is told in its head, and ``key`` in the exports."""

    key: str
    label: str
    kind: Kind = "text"
    unit: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it is set flush right."""
        return self.kind in {"number", "share", "seconds", "bytes"}


@dataclass(frozen=True, slots=True)
class Input:
    """What must be filled in before something is done; with ``options``, pairs of value and label, a choice."""

    name: str
    label: str
    value: str = ""
    options: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done about a row.

    Attributes:
        address: where the form is sent.
        question: asked before it is done; the empty text where nothing is lost by it.
        reason: whether a reason must be given.
        inputs: what must be filled in; needs a question.
        values: sent along.
    """

    label: str
    address: str
    question: str = ""
    reason: bool = False
    inputs: Sequence[Input] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Empty:
    """Why there is nothing to see, and what to do about it."""

    why: str
    remedy: str
    address: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number with its trend.

    Attributes:
        value: as it is shown; the empty text where it is not known.
        detail: n, interval, unit: what the number rests on.
        trend: values over time, oldest first; None leaves a gap.
        change: against the time before, in words.
        tone: ``good``, ``warn``, ``bad`` or the empty text; never told by colour alone.
        address: where its cause is shown.
    """

    label: str
    value: str
    detail: str = ""
    trend: Sequence[float | None] = ()
    change: str = ""
    tone: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """What one panel shows.

    Attributes:
        chart: as `ism.app.web.charts` makes it; None where the table says it best.
        note: how the numbers are defined, and their limits.
        empty: in the place of a table without rows.
        topics: names of live events upon which it is drawn again.
        width: of twelve columns.
        total: rows there are, where ``rows`` are only the first of them.
        shown: rows of the table on the page; the exports have all.
        cards: whether rows stand as cards where there is little room, as those that can be acted on always do.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: Empty
    chart: dict[str, Any] | None = None
    tiles: Sequence[Tile] = ()
    note: str = ""
    topics: Sequence[str] = ()
    width: int = 6
    total: int | None = None
    shown: int = 200
    cards: bool = False

    def plain(self) -> list[dict[str, Any]]:
        """The rows with nothing but their columns."""
        return [{column.key: row.get(column.key) for column in self.columns} for row in self.rows]


def as_csv(panel: Panel) -> bytes:
    """A panel's table: UTF-8 with byte-order mark, formulas made harmless, units in the head."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([f"{column.key} [{column.unit}]" if column.unit else column.key for column in panel.columns])
    writer.writerows([_cell(value) for value in row.values()] for row in panel.plain())
    return out.getvalue().encode("utf-8-sig")


def as_json(panel: Panel) -> dict[str, Any]:
    """The same with title, units and the note that defines the numbers."""
    return {
        "title": panel.title,
        "note": panel.note,
        "units": {column.key: column.unit for column in panel.columns if column.unit},
        "rows": [{key: _plain(value) for key, value in row.items()} for row in panel.plain()],
        "empty": None if panel.rows else panel.empty.why,
    }


def _cell(value: object) -> object:
    from ism.data.imports.export import escaped  # noqa: PLC0415 - loads the spreadsheet writer, which serving need not

    plain = _plain(value)
    return escaped(plain) if isinstance(plain, str) else plain


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
