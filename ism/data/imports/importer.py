"""The door: a file goes in as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ism.data.imports.limits import Limits
from ism.data.imports.table import CHUNK, KnownCompany, Progress, Source, read_table
from ism.data.imports.templates import Kind, Value
from ism.data.public import sets
from ism.domain.market import Company, Exchange

Batches = Iterator[list[Value]]
Store = Callable[[Batches], None]

_HELD = 20_000  # rows: up to here the checked values are kept (about 15 MB) instead of read again


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import held; ``stored`` is false for a dry run. ``source`` names a recognised public data set."""

    companies: int = 0
    listings: int = 0
    exchanges: int = 0
    stored: bool = False
    source: str = ""


def import_file(
    source: Source,
    store: Store | None,
    kind: Kind | None = None,
    limits: Limits | None = None,
    known_company: KnownCompany | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Check a file completely, then hand its values to ``store`` in batches.

    Nothing of a bad file reaches the store. A long file is read twice, so that a million rows need no memory. A public
    data set (`ism.data.public.sets`) is recognised by its content; companies come before what refers to them.

    Args:
        source: CSV, XLSX, a file or folder of a public set; or the bytes of the first two.
        store: takes all batches, each of one type, in one transaction, and undoes it when reading them raises;
            ``None`` for a dry run.
        kind: what the table holds; found out when ``None``.
        limits: bounds of the file.
        known_company: given company ids, those that are stored.
        progress: called with (rows done, total); the total is ``None`` while the file is checked.

    Raises:
        ImportRefusedError: rows cannot be used.
        InvalidInputError: the file as a whole cannot be used.
    """
    limits = limits or Limits()
    public = None if kind else sets.detect(source, limits)

    def values() -> Iterator[Value]:
        if public:
            yield from public.companies()
            yield from public.exchanges()
        else:
            yield from read_table(source, kind, limits)  # references were checked; the store's transaction may be open

    held: list[Value] = []
    counts = _count(values() if public else read_table(source, kind, limits, known_company, progress), held)
    total = sum(counts)
    if store:
        store(_batches(iter(held) if total <= _HELD else values(), total, progress))
    return ImportReport(*counts, stored=store is not None, source=public.name if public else "")


def _count(values: Iterable[Value], held: list[Value]) -> tuple[int, int, int]:
    """How many companies, listings and exchanges there are; ``held`` keeps them where they are at most `_HELD`."""
    companies = exchanges = total = 0
    for value in values:
        total += 1
        companies += isinstance(value, Company)
        exchanges += isinstance(value, Exchange)
        if total <= _HELD:
            held.append(value)
    if total > _HELD:
        held.clear()
    return companies, total - companies - exchanges, exchanges


def _batches(values: Iterator[Value], total: int, progress: Progress | None) -> Batches:
    """Batches of one type each, in order."""
    done = 0
    while chunk := list(islice(values, CHUNK)):
        start = 0
        for end in range(1, len(chunk) + 1):
            if end == len(chunk) or type(chunk[end]) is not type(chunk[start]):
                yield chunk[start:end]
                start = end
        done += len(chunk)
        if progress:
            progress(done, total)
