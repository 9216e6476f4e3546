"""A table as domain values: finds out what it is, matches its header, and turns rows into values or problems."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ism.data.imports.csvfile import CsvTable, normalised
from ism.data.imports.limits import Limits, Problems, refused
from ism.data.imports.templates import TEMPLATES, Column, Kind, Template, Value, template
from ism.data.imports.workbook import OLE_MAGIC, ZIP_MAGIC, Unusable, XlsxTable, open_workbook
from ism.domain.errors import InvalidInputError, RowProblem
from ism.domain.market import Company, Listing

Source = Path | bytes
Progress = Callable[[int, int | None], None]
KnownCompany = Callable[[Collection[str]], Collection[str]]

CHUNK = 1000

_ALL_COLUMNS = frozenset(column.name for kind in TEMPLATES.values() for column in kind.columns)


def read_table(
    source: Source,
    kind: Kind | None = None,
    limits: Limits | None = None,
    known_company: KnownCompany | None = None,
    progress: Progress | None = None,
) -> Iterator[Value]:
    """The rows of a CSV or XLSX table as domain values, in file order.

    Values come as they are read, until the first problem; from then on the rest is only checked. So whoever stores
    them must undo it when this raises; `importer.import_file` reads the whole table before it stores anything.

    Args:
        source: a file, or its bytes.
        kind: what the table holds; found out from its header when ``None``.
        limits: bounds; the defaults of `Limits` when ``None``.
        known_company: given company ids, those that are stored; without it references are not checked.
        progress: called with (rows done, ``None``) about every thousand rows.

    Raises:
        ImportRefusedError: rows cannot be used; every bad cell is in it.
        InvalidInputError: the file as a whole cannot be read, or its kind cannot be told.
    """
    limits = limits or Limits()
    with _opened(source, limits) as table:
        rows = table.rows()
        header_row, header = next(rows, (1, []))
        chosen = template(kind) if kind else TEMPLATES[kind_of(header)]
        problems = Problems(limits.max_problems)
        columns = _match(header_row, header, chosen, problems)
        reader = _RowReader(chosen, columns, table.dot_may_group)
        done = 0
        while chunk := list(islice(rows, CHUNK)):
            values, found = reader.read(chunk)
            found += _unknown_companies(values, chosen, known_company)
            for problem in sorted(found, key=lambda problem: problem[0]):
                problems.add(problem)
            done += len(chunk)
            if progress:
                progress(done, None)
            if not problems.total:
                yield from (value for _, value in values)
        if problems.total:
            raise problems.error()


def kind_of(header: Iterable[object]) -> Kind:
    """What a table holds, judged by its header.

    Raises:
        InvalidInputError: no template's required columns are all there.
    """
    names = [normalised(cell) for cell in header if cell is not None]
    fitting = [kind for kind in TEMPLATES.values() if set(kind.required) <= set(names)]
    if not fitting:
        wanted = "; ".join(f"{kind.kind}: {', '.join(kind.required)}" for kind in TEMPLATES.values())
        raise InvalidInputError("header", ", ".join(names), f"Say which kind it is, or give these columns: {wanted}.")
    return max(fitting, key=lambda kind: len(kind.required)).kind


@contextmanager
def _opened(source: Source, limits: Limits) -> Iterator[CsvTable | XlsxTable]:
    name = source.name if isinstance(source, Path) else "upload"
    size, head = _size_and_head(source)
    if limits.max_file_bytes is not None and size > limits.max_file_bytes:
        remedy = f"It has {size:,} bytes; at most {limits.max_file_bytes:,} are accepted. Split it."
        raise InvalidInputError("file", name, remedy)
    if head.startswith((ZIP_MAGIC, OLE_MAGIC)) or name.lower().endswith((".xlsx", ".xls")):
        with open_workbook(source, limits) as book:
            yield XlsxTable(book, name)
    else:
        with _stream(source) as file:
            yield CsvTable(file, limits, _ALL_COLUMNS)


def _size_and_head(source: Source) -> tuple[int, bytes]:
    if isinstance(source, bytes):
        return len(source), source[:8]
    if not source.is_file():
        raise InvalidInputError("file", str(source), "There is no such file; give the path of a CSV or XLSX file.")
    with source.open("rb") as file:
        return source.stat().st_size, file.read(8)


def _stream(source: Source) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _match(row: int, header: list[object], chosen: Template, problems: Problems) -> list[Column | None]:
    """The template's column of each cell of the header; ``None`` for blank and unknown ones."""
    by_name = {column.name: column for column in chosen.columns}
    names = [normalised("" if cell is None or isinstance(cell, Unusable) else cell) for cell in header]
    for place, name in enumerate(names):
        if name and name in names[:place]:
            raise refused(row, name, name, "This column appears twice; keep one.")
        if name and name not in by_name:
            near = get_close_matches(name, by_name, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(by_name)}."
            problems.add(RowProblem(row, name, header[place], f"There is no such column in {chosen.kind}; {hint}"))
    missing = [name for name in chosen.required if name not in names]
    for name in missing:
        problems.add(RowProblem(row, name, None, f"This column is missing; {chosen.kind} need it."))
    if missing:
        raise problems.error()
    return [by_name.get(name) for name in names]


class _RowReader:
    """Turns rows of one table into values; remembers the identifiers seen."""

    def __init__(self, chosen: Template, columns: list[Column | None], dot_may_group: bool) -> None:
        self._template, self._columns, self._dot_may_group = chosen, columns, dot_may_group
        self._width = len(columns)
        present = {column.name for column in columns if column}
        self._required = [name for name in chosen.required if name in present]
        self._seen: dict[str, int] = {}

    def read(self, chunk: Iterable[tuple[int, list[object]]]) -> tuple[list[tuple[int, Value]], list[RowProblem]]:
        """Values with their row numbers, and what is wrong with the other rows."""
        values: list[tuple[int, Value]] = []
        problems: list[RowProblem] = []
        for number, cells in chunk:
            before = len(problems)
            fields = self._fields(number, cells, problems)
            self._check_key(number, fields, problems)
            if len(problems) == before:
                value = self._template.make(**fields)
                problems.extend(_contradictions(number, value))
                values.append((number, value))
        return values, problems

    def _fields(self, number: int, cells: list[object], problems: list[RowProblem]) -> dict[str, Any]:
        if len(cells) != self._width:
            cells = self._fitted(number, cells, problems)
        fields: dict[str, Any] = {}
        for column, cell in zip(self._columns, cells, strict=True):
            if column is None or cell is None or cell == "" or (isinstance(cell, str) and not cell.strip()):
                continue
            if isinstance(cell, Unusable):
                problems.append(RowProblem(number, column.name, cell.shown, cell.reason))
                fields[column.name] = None  # named, so that it is not reported as empty as well
                continue
            try:
                fields[column.name] = column.read(cell, self._dot_may_group)
            except InvalidInputError as error:
                problems.append(RowProblem(number, column.name, cell, error.remedy))
                fields[column.name] = None
        problems.extend(
            RowProblem(number, name, None, "It is empty; every row needs it.")
            for name in self._required
            if name not in fields
        )
        return fields

    def _fitted(self, number: int, cells: list[object], problems: list[RowProblem]) -> list[object]:
        """Cells padded or cut to the header; only blank ones may be cut."""
        extra = [cell for cell in cells[self._width :] if cell not in (None, "")]
        if extra:
            reason = (
                f"The row has {len(cells)} cells, the header {self._width}; is a delimiter within a text left unquoted?"
            )
            problems.append(RowProblem(number, "", extra[0], reason))
        return [*cells[: self._width], *[None] * (self._width - len(cells))]

    def _check_key(self, number: int, fields: dict[str, Any], problems: list[RowProblem]) -> None:
        key = fields.get(self._template.key)
        if key is None:
            return
        first = self._seen.setdefault(key, number)
        if first != number:
            problems.append(
                RowProblem(number, self._template.key, key, f"Row {first} has the same; it must be unique.")
            )


def _contradictions(number: int, value: Value) -> list[RowProblem]:
    """What no cell shows alone."""
    if isinstance(value, Company) and (value.latitude is None) != (value.longitude is None):
        column = "latitude" if value.latitude is None else "longitude"
        return [RowProblem(number, column, None, "Give both latitude and longitude, or neither.")]
    if isinstance(value, Listing) and value.valid_from and value.valid_until and value.valid_until < value.valid_from:
        reason = f"It lies before valid_from ({value.valid_from})."
        return [RowProblem(number, "valid_until", str(value.valid_until), reason)]
    return []


def _unknown_companies(
    values: list[tuple[int, Value]], chosen: Template, known_company: KnownCompany | None
) -> list[RowProblem]:
    if known_company is None or not chosen.references:
        return []
    named = [(number, column, getattr(value, column)) for number, value in values for column in chosen.references]
    known = set(known_company({company for _, _, company in named}))
    return [
        RowProblem(number, column, company, "There is no such company; import companies first.")
        for number, column, company in named
        if company not in known
    ]
