"""What an import may cost, and what it collects when it goes wrong."""

from dataclasses import dataclass

from ism.domain.errors import ImportRefusedError, RowProblem
from ism.settings import Settings

MAX_COLUMNS = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one import.

    Attributes:
        max_file_bytes: largest file; ``None`` for no bound (a local command line).
        max_unpacked_bytes: largest unpacked size of an XLSX file.
        max_problems: how many problems are kept; all are counted.
        max_line_bytes: longest line of a CSV file.
    """

    max_file_bytes: int | None = None
    max_unpacked_bytes: int = 512 * 1024 * 1024
    max_problems: int = 1000
    max_line_bytes: int = 1024 * 1024

    @classmethod
    def for_upload(cls, settings: Settings) -> "Limits":
        """Limits of a file that came over the network."""
        return cls(max_file_bytes=settings.max_upload_bytes, max_unpacked_bytes=settings.max_unpacked_bytes)


class Problems:
    """Problems of one table: the first ``limit`` kept, all counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept: list[RowProblem] = []
        self.total = 0

    def add(self, problem: RowProblem) -> None:
        """Note one; they come in file order."""
        self.total += 1
        if len(self.kept) < self._limit:
            self.kept.append(problem)

    def error(self) -> ImportRefusedError:
        """The refusal that tells them all."""
        return ImportRefusedError(self.kept, self.total)


def refused(row: int, column: str, value: object, reason: str) -> ImportRefusedError:
    """A refusal for one reason, where reading on makes no sense."""
    return ImportRefusedError([RowProblem(row, column, value, reason)])
