"""MAESTRI: documented industrial-symbiosis exchanges (EU project MAESTRI, open access; attribute the project).

A row tells which waste went from which sector to which sector, and which papers say so. Codes carry marks of the
data set's authors (``*``, ``^``, ``#``: assumed or approximate), which are dropped; a cell may hold several codes,
joined by ``;``.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from ism.data.codes.ewc import common_prefix, parse_ewc
from ism.data.codes.nace import common_parent, parse_nace
from ism.data.imports.limits import Limits
from ism.data.imports.workbook import ZIP_MAGIC, open_workbook
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Exchange, ExchangeStatus

Source = Path | bytes

FILE = "maestri/exchanges_database_maestri.xlsx"
SHEET = "MAESTRI"
ATTRIBUTION = "MAESTRI exchanges database (EU project MAESTRI)"

CASES_SCHEMA = {
    "group": pl.Int32,
    "unit": pl.String,
    "donor_nace": pl.String,
    "ewc": pl.String,
    "waste_text": pl.String,
    "receiver_nace": pl.String,
}

_ID, _CASE, _WASTE, _EWC = "Database-ID", "Case Number", "Waste description", "EWC code"
_DONOR_NACE, _RECEIVER_NACE = "NACE code - Providing industry", "NACE code - Receiving industry"
_STATUS, _COUNTRY, _REFERENCE, _USE = "Status of development", "Country", "Reference", "Final use"
_COLUMNS = (_ID, _CASE, _WASTE, _EWC, _DONOR_NACE, _RECEIVER_NACE, _STATUS, _COUNTRY, _REFERENCE, _USE)
_SIDES = {"donor": "Providing", "receiver": "Receiving"}

_STATUSES: dict[str, ExchangeStatus] = {
    "Implemented": "operating",
    "Planned": "planned",
    "Under feasibility study": "planned",
}
_COUNTRIES = {
    "Australia": "AU", "China": "CN", "Denmark": "DK", "Fiji": "FJ", "Finland": "FI", "Germany": "DE", "India": "IN",
    "Italy": "IT", "Japan": "JP", "Portugal": "PT", "Puerto Rico": "PR", "South Korea": "KR", "Sweden": "SE",
    "Turkey": "TR", "United Kingdom": "GB", "United States of America": "US",
}  # fmt: skip
_MARKS = re.compile(r"[*^#]")
# One paper of a reference ends in a full stop or a bracket before the next; within a paper, "&" joins authors.
_NEXT_PAPER = re.compile(r"(?<=[.)])\s*&\s+(?=\w)")


def cases(path: Source) -> pl.DataFrame:
    """Cases for ranking receivers, leave-one-source-group-out: 295 units in 31 groups.

    A unit is a distinct (case number, donor NACE, EWC, waste text, receiver NACE). Units whose cases cite a common
    paper, directly or through others, share a group, so that no paper stands on both sides of a split.

    Columns (`CASES_SCHEMA`): ``group`` 0..; ``unit`` the data set's id of its first row; ``donor_nace``, ``ewc`` and
    ``receiver_nace`` canonical, several joined by ``;``; ``waste_text``. Nothing else of the file is passed on: final
    use, intermediary, receiver names, CPA and HS would give the answer away.
    """
    rows = _rows(path)
    keys = [(_plain(row[_CASE]), *_query(row), ";".join(_split(row[_RECEIVER_NACE], parse_nace))) for row in rows]
    groups = _groups(
        [[f"case {key[0]}", *_papers(_plain(row[_REFERENCE]))] for key, row in zip(keys, rows, strict=True)]
    )
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    return pl.DataFrame(
        [(groups[i], _plain(rows[i][_ID]), *keys[i][1:]) for i in sorted(first.values())],
        schema=CASES_SCHEMA,
        orient="row",
    )


def _query(row: dict[str, object]) -> tuple[str, str, str]:
    """Donor NACE, EWC and waste text of a row."""
    return ";".join(_split(row[_DONOR_NACE], parse_nace)), ";".join(_split(row[_EWC], parse_ewc)), _plain(row[_WASTE])


def _papers(reference: str) -> list[str]:
    """The papers that one reference cell cites."""
    return [paper.strip() for paper in _NEXT_PAPER.split(reference) if paper.strip()]


def companies(source: Source, limits: Limits | None = None) -> Iterator[Company]:
    """The companies of both sides; where the file names none, one stands for the industry of that case."""
    seen: set[str] = set()
    for row in _rows(source, limits):
        for side in _SIDES:
            company = _company(row, side)
            if company.company_id not in seen:
                seen.add(company.company_id)
                yield company


def exchanges(source: Source, limits: Limits | None = None) -> Iterator[Exchange]:
    """The exchanges; the year they began is not in the file and stays unknown."""
    for row in _rows(source, limits):
        yield Exchange(
            exchange_id=f"maestri:{_plain(row[_ID])}",
            from_company=_company(row, "donor").company_id,
            to_company=_company(row, "receiver").company_id,
            material=_plain(row[_WASTE]),
            ewc=common_prefix(_split(row[_EWC], parse_ewc)),
            status=_STATUSES.get(_plain(row[_STATUS]), "unknown"),
            receiver_use=_plain(row[_USE]),
            source=f"{ATTRIBUTION}: {_plain(row[_REFERENCE])}",
        )


def is_maestri(source: Source, limits: Limits) -> bool:
    """Whether a file is the MAESTRI workbook, judged by its sheet and header."""
    if isinstance(source, Path):
        if source.suffix.lower() != ".xlsx" or not source.is_file():
            return False
    elif not source.startswith(ZIP_MAGIC):
        return False
    with open_workbook(source, limits) as book:
        if SHEET not in book.sheetnames:
            return False
        return set(_COLUMNS) <= {str(cell) for cell in next(book[SHEET].iter_rows(values_only=True), ())}


def _rows(source: Source, limits: Limits | None = None, count: int | None = None) -> list[dict[str, object]]:
    name = source.name if isinstance(source, Path) else "upload"
    with open_workbook(source, limits or Limits()) as book:
        if SHEET not in book.sheetnames:
            raise InvalidInputError(
                "file", name, f"The MAESTRI workbook has a sheet {SHEET!r}; this one has {book.sheetnames}."
            )
        lines = book[SHEET].iter_rows(values_only=True)
        header = [str(cell) for cell in next(lines, ())]
        if missing := [column for column in _COLUMNS if column not in header]:
            raise InvalidInputError("file", name, f"Sheet {SHEET!r} lacks the columns {missing}.")
        return [dict(zip(header, line, strict=False)) for line in islice(lines, count) if any(line)]


def _plain(cell: object) -> str:
    return " ".join(_MARKS.sub("", "" if cell is None else str(cell)).split())


def _split(cell: object, parse: Callable[[str], str]) -> list[str]:
    return [parse(part) for part in _plain(cell).split(";") if part.strip()]


def _groups(links: Sequence[Sequence[str]]) -> list[int]:
    """Number of the connected component of each row, where rows are joined by the names they share."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while (parent := root.setdefault(name, name)) != name:
            name = parent
        return name

    for names in links:
        for other in names[1:]:
            root[find(other)] = find(names[0])
    numbers: dict[str, int] = {}
    return [numbers.setdefault(find(names[0]), len(numbers)) for names in links]


def _company(row: dict[str, object], side: str) -> Company:
    industry = _plain(row[f"{_SIDES[side]} industry (according to original database)"])
    named = _plain(row[f"Company name - {_SIDES[side]} industry"])
    case, country = _plain(row[_CASE]), _plain(row[_COUNTRY])
    nace = common_parent(_split(row[_DONOR_NACE if side == "donor" else _RECEIVER_NACE], parse_nace))
    key = re.sub(r"[^a-z0-9]+", "-", f"{named or industry} {nace or ''}".lower()).strip("-")
    return Company(
        company_id=f"maestri:{case}:{key}",
        name=named or f"{industry} (case {case}, {country})",
        nace=nace,
        country=_COUNTRIES.get(country),
        description=industry,
        source=f"{ATTRIBUTION}, case {case}",
    )
