"""XLSX, opened with suspicion: sizes are checked before anything is unpacked, and formulas are shown as formulas."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.workbook.workbook import Workbook

from ism.data.imports.limits import MAX_COLUMNS, Limits, refused
from ism.domain.errors import InvalidInputError

ZIP_MAGIC = b"PK"
OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")

_MAX_ROWS = 1_048_576  # the format's own bound
_MAX_PARTS = 10_000
_MAX_RATIO, _RATIO_FROM_BYTES = 200, 16 * 1024 * 1024
_STRINGS_SHARE = (
    4  # shared texts are held in memory at several times their size: they may take a quarter of the unpacked bytes
)
# What openpyxl, zipfile and the XML parsers are known to raise on damaged files; defusedxml's refusals are ValueErrors.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, InvalidFileException, KeyError, ValueError, TypeError, IndexError, AttributeError,
    SyntaxError, EOFError, OverflowError, NotImplementedError, RuntimeError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unusable:
    """A cell that must not be read, and why."""

    shown: object
    reason: str


@contextmanager
def open_workbook(source: Path | bytes, limits: Limits) -> Iterator[Workbook]:
    """An XLSX file, formulas visible, rows read on demand.

    Raises:
        InvalidInputError: it is no XLSX file, is encrypted, or would unpack to too much; the message says which.
    """
    name = source.name if isinstance(source, Path) else "upload"
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as file:
        _check_container(file, name, limits)
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=False)
        except _DAMAGED as error:
            raise _damaged(name, error) from error
        try:
            yield book
        finally:
            book.close()


class XlsxTable:
    """The first visible sheet of a workbook as numbered rows; rows count as the spreadsheet shows them."""

    dot_may_group = False

    def __init__(self, book: Workbook, name: str) -> None:
        self._book, self._name = book, name

    def rows(self) -> Iterator[tuple[int, list[object]]]:
        """Every row that is not blank, with its number; formulas and spreadsheet errors as `Unusable`."""
        visible = [sheet for sheet in self._book.worksheets if sheet.sheet_state == "visible"]
        if not visible:
            raise InvalidInputError("file", self._name, "The workbook has no visible sheet; fill in the template.")
        sheet = visible[0]
        sheet.reset_dimensions()  # the declared size is the writer's claim
        try:
            for number, row in enumerate(sheet.iter_rows(max_row=_MAX_ROWS), start=1):
                if len(row) > MAX_COLUMNS:
                    raise refused(number, "", len(row), f"It has cells beyond column {MAX_COLUMNS}; delete them.")
                cells = [_value(cell) for cell in row]
                if any(cell not in (None, "") for cell in cells):
                    yield number, cells
        except _DAMAGED as error:
            if isinstance(error, InvalidInputError):
                raise
            raise _damaged(self._name, error) from error


def _value(cell: object) -> object:
    value, kind = getattr(cell, "value", None), getattr(cell, "data_type", "n")
    if kind == "f":
        place = getattr(cell, "coordinate", "")
        shown = value if isinstance(value, str) else getattr(value, "text", None) or "a formula"
        return Unusable(shown, f"Cell {place} holds a formula; paste its value instead.")
    if kind == "e":
        return Unusable(value, f"Cell {getattr(cell, 'coordinate', '')} holds a spreadsheet error; correct it.")
    return value


def _check_container(file: BinaryIO, name: str, limits: Limits) -> None:
    head = file.read(8)
    file.seek(0)
    if head.startswith(OLE_MAGIC):
        remedy = (
            "It is an old .xls workbook or is protected by a password; save it as .xlsx without password, or as CSV."
        )
        raise InvalidInputError("file", name, remedy)
    if not head.startswith(ZIP_MAGIC):
        raise InvalidInputError(
            "file", name, "It is no XLSX workbook, whatever its name says; save it as .xlsx or CSV."
        )
    try:
        parts = zipfile.ZipFile(file).infolist()
    except _DAMAGED as error:
        raise _damaged(name, error) from error
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    strings = sum(part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml"))
    names = {part.filename for part in parts}
    checks = (
        (
            not any(part.startswith("xl/") for part in names),
            "It is a ZIP archive, but no XLSX workbook; save it as .xlsx or CSV.",
        ),
        (any(part.flag_bits & 1 for part in parts), "It is encrypted; save it without password."),
        (len(parts) > _MAX_PARTS, f"It holds {len(parts):,} parts; at most {_MAX_PARTS:,} are accepted."),
        (
            unpacked > limits.max_unpacked_bytes,
            f"It would unpack to {unpacked:,} bytes; at most {limits.max_unpacked_bytes:,} are accepted. Send CSV.",
        ),
        (
            unpacked > _RATIO_FROM_BYTES and unpacked > _MAX_RATIO * max(packed, 1),
            f"It would unpack to {unpacked // max(packed, 1):,} times its size, as no honest workbook does. Send CSV.",
        ),
        (
            strings > limits.max_unpacked_bytes // _STRINGS_SHARE,
            f"Its texts take {strings:,} bytes, too much for a workbook. Send it as CSV.",
        ),
    )
    for bad, remedy in checks:
        if bad:
            raise InvalidInputError("file", name, remedy)
    file.seek(0)


def _damaged(name: str, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        "file", name, f"The workbook is damaged ({type(error).__name__}: {error}); save it again or as CSV."
    )
