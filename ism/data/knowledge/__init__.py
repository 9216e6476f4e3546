"""The curated knowledge base: which material serves which function in which sector, with its sources and limits.

It is a table that people edit (`rules/*.csv`, `sources*.csv`); what its columns mean is told in
`docs/knowledge-base.md`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import StringIO

LIST_COLUMNS = ("synonyms", "ewc", "donor_nace", "source")


@dataclass(frozen=True, slots=True)
class Source:
    """A document that a rule rests on."""

    source_id: str
    title: str
    publisher: str
    year: str
    kind: str
    url: str

    def __str__(self) -> str:
        return f"{self.title} ({self.publisher}, {self.year})" if self.year else f"{self.title} ({self.publisher})"


@dataclass(frozen=True, slots=True)
class Rule:
    """One material serving one function in one sector.

    Attributes:
        ewc: List-of-Waste codes or prefixes that it covers, canonical.
        donor_nace: typical producers.
        process: treatment needed before use; empty when none.
        processor_nace: sector of the intermediary that treats; empty when donor or receiver does.
        strength: 3 established practice, 2 practised at several sites, 1 demonstrated or niche.
        source: ids of `Source`, each perhaps with ``:locator``.
    """

    rule_id: str
    material: str
    synonyms: tuple[str, ...]
    ewc: tuple[str, ...]
    donor_nace: tuple[str, ...]
    function: str
    replaces: str
    process: str
    processor_nace: str
    receiver_nace: str
    strength: int
    source: tuple[str, ...]
    limits: str


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """All rules, in file order."""
    return tuple(_rule(row) for row in _rows("rules", ""))


@lru_cache(maxsize=1)
def sources() -> dict[str, Source]:
    """Documents by id."""
    return {row["source_id"]: Source(**row) for row in _rows("", "sources")}


def _rows(folder: str, prefix: str) -> Iterator[dict[str, str]]:
    root = files(__name__) / folder if folder else files(__name__)
    tables = (entry for entry in root.iterdir() if entry.name.endswith(".csv") and entry.name.startswith(prefix))
    for table in sorted(tables, key=lambda entry: entry.name):
        yield from csv.DictReader(StringIO(table.read_text(encoding="utf-8"), newline=""))


def _rule(row: dict[str, str]) -> Rule:
    values: dict[str, object] = dict(row)
    for column in LIST_COLUMNS:
        values[column] = tuple(part.strip() for part in row[column].split(";") if part.strip())
    values["strength"] = int(row["strength"])
    return Rule(**values)  # type: ignore[arg-type]  # built from the table's own columns
