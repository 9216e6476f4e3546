"""The tables behind the estimates: factors, how far a residue replaces a material, and where waste would go instead.

`factors.csv` and `sources.csv` are evidence; `substitution.csv` and `routes.csv` say how it may be used. What their
columns mean is told in `docs/impact.md`. All are read once; everything here is a look-up.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from ism.domain.match import Factor, Interval

FactorKind = Literal[
    "avoided_material",
    "price_avoided_material",
    "transport",
    "price_transport",
    "disposal",
    "price_disposal",
    "processing",
]

_OWN = {
    "ism-assess": "own assessment (no publication; order of magnitude only)",
    "ism-calc": "own calculation from the inputs in the note",
}
# The author's mark at the end of a note, in words for the person who reads an estimate.
_STANDING = {
    "checked": "Read in the source or in a text that quotes it.",
    "recalled": "Recalled from the source, not read again.",
    "assessed": "",  # the source says so already
    "computed": "Computed; not all inputs were read again.",
    "DESNZ": "",  # exact figures of the named file
}
_MARK = re.compile(r"\s*\[(\w+)[^\]]*\]\s*$")


@dataclass(frozen=True, slots=True)
class Substitution:
    """How far one tonne of a residue replaces one tonne of a material; the first row of a group that fits is used.

    Attributes:
        group: ``applies_to`` of the factors.
        words: phrases of the residue's text, one of which must occur (``a+b``: both); empty asks for nothing.
        ewc: codes or prefixes that do instead of a word.
        functions: what the residue must do for the receiver; empty asks for nothing.
        ratio: tonnes replaced by a tonne, or None where the factor must not be applied; ``note`` then tells why.
        treatment: ``applies_to`` of the processing factor that belongs to the replacement; empty when none.
    """

    group: str
    words: tuple[str, ...]
    ewc: tuple[str, ...]
    functions: tuple[str, ...]
    ratio: Interval | None
    treatment: str
    source: str
    note: str

    def fits(self, text: str, ewc: str | None, function: str | None) -> bool:
        """Whether the row applies to a residue; ``text`` as made by `normalised`."""
        if self.functions and function not in self.functions:
            return False
        asks = bool(self.words or self.ewc)
        return not asks or covers(self.ewc, ewc) > 0 or any(has_phrase(text, word) for word in self.words)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a waste would go if nobody took it.

    Attributes:
        route: ``applies_to`` of the disposal factor, or ``none``.
        price_route: ``applies_to`` of the fee.
        hazardous: whether it takes hazardous waste.
        carried: ``truck``, ``pipe`` or ``none``.
    """

    route: str
    price_route: str
    hazardous: bool
    carried: str
    ewc: tuple[str, ...]
    words: tuple[str, ...]
    functions: tuple[str, ...]
    note: str


def normalised(text: str) -> str:
    """Lower-case words with one space between and around them, so that a phrase is found as whole words.

    >>> normalised("Ready-mix concrete!")
    ' ready mix concrete '
    """
    return f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "


def has_phrase(text: str, phrase: str) -> bool:
    """Whether a normalised text has a phrase as whole words; parts joined by ``+`` must all occur."""
    return all(part in text for part in _parts(phrase))


@cache
def _parts(phrase: str) -> tuple[str, ...]:
    """Normalised once: the phrases are those of the tables."""
    return tuple(normalised(part) for part in phrase.split("+"))


def covers(prefixes: Iterable[str], ewc: str | None) -> int:
    """Length of the longest prefix that holds a code; 0 when none does."""
    return max((len(prefix) for prefix in prefixes if ewc and f"{ewc} ".startswith(f"{prefix} ")), default=0)


@cache
def factor(kind: FactorKind, applies_to: str) -> Factor | None:
    """The factor of a group, ready to be shown; None where the table has none."""
    row = _factor_rows().get((kind, applies_to))
    if row is None:
        return None
    value = Interval(float(row["low"]), float(row["central"]), float(row["high"]))
    when = f"Data of {row['year']}, {row['region']}."
    return Factor(
        f"{_NAMES[kind]}: {readable(applies_to)}", value, row["unit"], source(row["source"]), f"{when} {_note(row)}"
    )


@cache
def keywords() -> dict[str, str]:
    """What people call a replaced material, normalised and stripped -> its group."""
    found: dict[str, str] = {}
    for (kind, group), row in _factor_rows().items():
        if kind in ("avoided_material", "price_avoided_material"):
            found.update({normalised(word).strip(): group for word in row["keywords"].split(";")})
    return found


@cache
def substitutions() -> dict[str, tuple[Substitution, ...]]:
    """Rows by group, in file order."""
    found: dict[str, tuple[Substitution, ...]] = {}
    for row in _rows("substitution.csv"):
        found[row["group"]] = (*found.get(row["group"], ()), _substitution(row))
    return found


@cache
def routes() -> tuple[Route, ...]:
    """All routes, in file order."""
    return tuple(
        Route(
            row["route"],
            row["price_route"],
            row["hazardous"] == "yes",
            row["carried"],
            _list(row["ewc"]),
            _list(row["words"]),
            _list(row["functions"]),
            row["note"],
        )
        for row in _rows("routes.csv")
    )


def source(source_id: str) -> str:
    """A source as people cite it; what rests on no publication says so."""
    if source_id in _OWN:
        return _OWN[source_id]
    row = _sources()[source_id]
    return f"{row['title']} ({', '.join(part for part in (row['publisher'], row['year']) if part)})"


def readable(group: str) -> str:
    """A group as words."""
    return group.removesuffix("-heat").replace("-", " ")


_NAMES: dict[FactorKind, str] = {
    "avoided_material": "Making of the replaced material",
    "price_avoided_material": "Price of the replaced material",
    "transport": "Transport",
    "price_transport": "Price of transport",
    "disposal": "Avoided disposal",
    "price_disposal": "Price of the avoided disposal",
    "processing": "Treatment",
}


def _note(row: dict[str, str]) -> str:
    mark = _MARK.search(row["note"])
    if mark is None:
        return row["note"]
    return f"{row['note'][: mark.start()]} {_STANDING.get(mark[1], '')}".strip()


def _substitution(row: dict[str, str]) -> Substitution:
    counted = row["use"] == "counted"
    ratio = Interval(float(row["low"]), float(row["central"]), float(row["high"])) if counted else None
    lists = (_list(row["words"]), _list(row["ewc"]), _list(row["functions"]))
    return Substitution(row["group"], *lists, ratio, row["treatment"], row["source"], row["note"])


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(";") if part.strip())


@cache
def _factor_rows() -> dict[tuple[str, str], dict[str, str]]:
    return {(row["kind"], row["applies_to"]): row for row in _rows("factors.csv")}


@cache
def _sources() -> dict[str, dict[str, str]]:
    return {row["source_id"]: row for row in _rows("sources.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    with files("ism.data.impact").joinpath(name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
