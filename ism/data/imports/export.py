"""Writing tables: empty templates and domain values, with formulas made harmless."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, cast

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from ism.data.imports.templates import Kind, Template, Value, template
from ism.domain.errors import InvalidInputError

FORMATS = ("csv", "xlsx")

_DANGEROUS = re.compile(r"'*[=+\-@\t\r]")


def write_template(kind: Kind, file_format: str = "csv", example: bool = True) -> bytes:
    """An empty table to fill in: its header, one example row, and in XLSX a sheet that explains the columns.

    Args:
        kind: ``companies``, ``listings`` or ``exchanges``.
        file_format: ``csv`` (UTF-8 with byte-order mark, so that spreadsheets read it rightly) or ``xlsx``.
        example: whether to add the example row.
    """
    chosen = template(kind)
    rows = [[column.example for column in chosen.columns]] if example else []
    return _written(chosen, rows, file_format)


def write_values(kind: Kind, values: Iterable[Value], file_format: str = "csv") -> bytes:
    """Domain values as a table that `table.read_table` reads back unchanged."""
    chosen = template(kind)
    rows = ([_cell(getattr(value, column.name)) for column in chosen.columns] for value in values)
    return _written(chosen, rows, file_format)


def escaped(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before ``=``, ``+``, ``-`` and ``@``."""
    return "'" + text if _DANGEROUS.match(text) else text


def _cell(value: object) -> str | float | int | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    # the fields of the domain are texts, numbers, truth values and dates; a cast says so to the type checker
    return escaped(value) if isinstance(value, str) else cast("float | int | None", value)


def _written(chosen: Template, rows: Iterable[Sequence[str | float | int | None]], file_format: str) -> bytes:
    if file_format == "csv":
        return _csv(chosen, rows)
    if file_format == "xlsx":
        return _xlsx(chosen, rows)
    raise InvalidInputError("format", file_format, f"Ask for one of {', '.join(FORMATS)}.")


def _csv(chosen: Template, rows: Iterable[Sequence[str | float | int | None]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([column.name for column in chosen.columns])
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _xlsx(chosen: Template, rows: Iterable[Sequence[str | float | int | None]]) -> bytes:
    book = Workbook(write_only=True)
    table = book.create_sheet(chosen.kind)
    table.append([column.name for column in chosen.columns])
    for row in rows:
        table.append([_as_text(table, cell) if isinstance(cell, str) else cell for cell in row])
    columns = book.create_sheet("columns")
    columns.append(["column", "required", "unit", "description", "example"])
    for column in chosen.columns:
        required = "yes" if column.required else "no"
        line = [column.name, required, column.unit, column.description, column.example]
        columns.append([_as_text(columns, cell) for cell in line])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _as_text(sheet: WriteOnlyWorksheet, text: str) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # openpyxl would make a formula of a text that starts with "="
    return cell
