"""One tree of errors. Each message names the thing, the value and what to do next."""


class IsmError(Exception):
    """Root of every error that this package raises on purpose."""


class InvalidInputError(IsmError):
    """A value from outside cannot be used.

    Args:
        field: where it stood, as the sender knows it (``offer.ewc``, ``row 7, column latitude``).
        value: what was sent.
        remedy: what to send instead.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(f"{field}: {_shown(value)} cannot be used. {remedy}")


class InvalidCodeError(InvalidInputError):
    """A text is not a code of the named classification."""


class FeedbackRejectedError(InvalidInputError):
    """Feedback cannot be used; it is kept as a dead letter.

    Args:
        problem: why.
        letter_id: under which it is kept.
    """

    def __init__(self, problem: InvalidInputError, letter_id: str) -> None:
        kept = f"{problem.remedy} It is kept as dead letter {letter_id}."
        super().__init__(problem.field, problem.value, kept)
        self.letter_id = letter_id


class ImportRefusedError(IsmError):
    """A file was refused as a whole; nothing of it was stored.

    Args:
        problems: one entry for each bad cell, in file order.
        total: how many problems there are in all, where ``problems`` was cut.
    """

    def __init__(self, problems: "list[RowProblem]", total: int | None = None) -> None:
        self.problems = problems
        self.total = len(problems) if total is None else total
        head = "; ".join(str(problem) for problem in problems[:3])
        more = f" (and {self.total - 3} more)" if self.total > 3 else ""
        super().__init__(f"Nothing was imported: {head}{more}")


class RowProblem(tuple[int, str, str, str]):
    """Why a cell of an import cannot be used: ``(row, column, value, reason)``; rows count from 1 with the header."""

    __slots__ = ()

    def __new__(cls, row: int, column: str, value: object, reason: str) -> "RowProblem":
        """Build one, with the value shortened for display."""
        return super().__new__(cls, (row, column, _shown(value), reason))

    def __str__(self) -> str:
        row, column, value, reason = self
        return f"row {row}, column {column}: {value}: {reason}"


class NotFoundError(IsmError):
    """Nothing is stored under the given identifier."""

    def __init__(self, kind: str, identifier: object) -> None:
        self.kind, self.identifier = kind, identifier
        super().__init__(f"There is no {kind} {_shown(identifier)}. List them to see which exist.")


class ConflictError(IsmError):
    """The request contradicts what is stored."""


class StorageError(IsmError):
    """The database cannot do what was asked."""


class StorageFullError(StorageError):
    """There is no room left to write; reading goes on."""


class StorageUnavailableError(StorageError):
    """The database cannot be reached at this moment; the same may work a moment later."""


class LeadLostError(StorageError):
    """Another process leads now: what this one was about to write in the background was not written."""


class DataFolderInUseError(StorageError):
    """Another process owns the data folder."""


class BackupError(IsmError):
    """A backup is damaged or cannot be brought back to where it was asked for; nothing was changed."""


class EngineError(IsmError):
    """An engine cannot do what was asked."""


class NotFittedError(EngineError):
    """An engine was asked for scores before it was fitted or loaded."""

    def __init__(self, engine: str) -> None:
        super().__init__(f"Engine {engine!r} has not been fitted. Call fit(...) or load(...) first.")


class ConfigurationError(IsmError):
    """A setting cannot be used."""


class MarketplaceError(IsmError):
    """The marketplace does not answer, or refuses what was asked; try again later."""


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class ArtifactError(IsmError):
    """A model's files cannot be trusted: damaged, missing, or of a kind that could run code."""
