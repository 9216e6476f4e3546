"""TREC-7: retrieval runs with relevance judgements (NIST), to measure rank fusion by."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ism.data.public import required_file
from ism.domain.errors import InvalidInputError

FOLDER = "trec7"
JUDGEMENTS = "qrels.txt.gz"


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        runs: of each system, in order of file name: document -> score, best first.
        relevant: documents that were judged relevant.
    """

    runs: list[dict[str, float]]
    relevant: frozenset[str]


def topics(folder: Path) -> dict[str, Topic]:
    """Every judged topic, by number.

    Args:
        folder: the folder of the public sets.

    Raises:
        InvalidInputError: a file is missing or has a line that cannot be read.
    """
    judgements = required_file(folder / FOLDER / JUDGEMENTS)
    relevant: dict[str, set[str]] = {}
    for number, _, document, grade in _fields(judgements, 4):
        chosen = relevant.setdefault(number, set())
        if int(grade) > 0:
            chosen.add(document)
    files = sorted((folder / FOLDER / "runs").glob("*.res.gz"))
    runs = [_run(required_file(file)) for file in files]
    return {
        number: Topic([_sorted(run.get(number, {})) for run in runs], frozenset(found))
        for number, found in relevant.items()
    }


def _run(file: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for number, _, document, _, score, _ in _fields(file, 6):
        found.setdefault(number, {})[document] = float(score)
    return found


def _sorted(run: dict[str, float]) -> dict[str, float]:
    return dict(sorted(run.items(), key=lambda item: -item[1]))


def _fields(file: Path, count: int) -> Iterator[list[str]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if len(fields) != count:
                raise InvalidInputError(f"{file.name}, line {number}", line.strip(), f"It must have {count} fields.")
            yield fields
