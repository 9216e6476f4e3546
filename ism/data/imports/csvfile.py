"""CSV as people send it: UTF-8 or UTF-16, comma, semicolon or tab; broken bytes are refused with their place."""

import codecs
import csv
import io
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO

from ism.data.imports.limits import MAX_COLUMNS, Limits, refused

Row = tuple[int, list[object]]

_DELIMITERS = (",", ";", "\t")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class CsvTable:
    """A CSV file as numbered rows; rows count from 1, the header and blank rows included.

    Attributes:
        dot_may_group: whether a dot in a number may be a thousands mark, as in files that use the semicolon.
    """

    def __init__(self, file: BinaryIO, limits: Limits, known_names: Collection[str]) -> None:
        self._file, self._limits = file, limits
        head = file.read(limits.max_line_bytes)
        file.seek(0)
        self._utf16 = head.startswith(_UTF16)
        if not self._utf16 and b"\x00" in head[:4]:
            raise refused(
                1,
                "",
                head[:16],
                "It begins with NUL bytes, like UTF-16 without its mark; save the file as CSV in UTF-8.",
            )
        first = (
            head.decode("utf-16" if self._utf16 else "utf-8-sig", errors="replace")
            .lstrip("\r\n")
            .split("\n", 1)[0]
            .strip()
        )
        self._announced = first[:4].lower() == "sep=" and len(first) <= 5
        self.delimiter = (first[4:] or "\t") if self._announced else _delimiter(first, known_names)
        self.dot_may_group = self.delimiter == ";"

    def rows(self) -> Iterator[Row]:
        """Every row that is not blank, with its number.

        Raises:
            ImportRefusedError: the bytes are not text, or the quoting is broken; the row is named.
        """
        number = 0
        lines = self._lines(lambda: number + 1)
        if self._announced:
            next(lines, None)
            number = 1
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise refused(
                    number + 1, "", "", f"The quoting of this row is broken or a cell is too long ({error})."
                ) from error
            if cells is None:
                return
            number += 1
            if len(cells) > MAX_COLUMNS:
                raise refused(number, "", len(cells), f"It has more than {MAX_COLUMNS} cells; is the delimiter right?")
            if any(cells):
                yield number, list(cells)

    def _lines(self, row: Callable[[], int]) -> Iterator[str]:
        return self._lines_utf16(row) if self._utf16 else self._lines_utf8(row)

    def _lines_utf8(self, row: Callable[[], int]) -> Iterator[str]:
        offset, limit = 0, self._limits.max_line_bytes
        while raw := self._file.readline(limit + 1):
            if len(raw) > limit:
                raise refused(row(), "", raw[:40], f"A line is longer than {limit:,} bytes.")
            try:
                line = raw.decode("utf-8-sig" if offset == 0 else "utf-8")
            except UnicodeDecodeError as error:
                place = f"byte {offset + error.start + 1} of the file (byte {error.start + 1} of its line)"
                value = raw[max(0, error.start - 10) : error.start + 10]
                raise refused(row(), "", value, f"Broken UTF-8 at {place}; save the file as CSV in UTF-8.") from error
            offset += len(raw)
            yield line

    def _lines_utf16(self, row: Callable[[], int]) -> Iterator[str]:
        text = io.TextIOWrapper(self._file, encoding="utf-16", newline="")
        limit = self._limits.max_line_bytes
        try:
            while line := text.readline(limit + 1):
                if len(line) > limit:
                    raise refused(row(), "", line[:40], f"A line is longer than {limit:,} characters.")
                yield line
        except UnicodeError as error:
            raise refused(row(), "", "", f"Broken UTF-16 ({error}); save the file as CSV in UTF-8.") from error


def normalised(name: object) -> str:
    """A column name as it is compared: ``" Company ID"`` is ``"company_id"``."""
    return "_".join(str(name).strip().casefold().replace("-", " ").replace("_", " ").split())


def _delimiter(header: str, known_names: Collection[str]) -> str:
    def score(delimiter: str) -> tuple[int, int]:
        names = header.split(delimiter)
        return sum(normalised(name.strip('"')) in known_names for name in names), len(names)

    return max(_DELIMITERS, key=score)
