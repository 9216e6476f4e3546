"""The European List of Waste (EWC codes): what kind of waste something is, and whether it is hazardous.

Canonical codes: chapter ``"10"``, subchapter ``"10 01"``, code ``"10 01 02"``.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal, cast, get_args

from ism.data.codes._tables import as_text, nearest
from ism.domain.errors import ConfigurationError, InvalidCodeError

HazardStatus = Literal["AN", "AH", "MN", "MH"]

EXAMPLE = "10 01 02"
HAZARD_SENTENCES: dict[HazardStatus, str] = {
    "AN": "Absolute non-hazardous entry: the List of Waste treats this waste as non-hazardous.",
    "AH": "Absolute hazardous entry: the List of Waste treats this waste as hazardous, whatever a test says.",
    "MN": "Mirror entry, non-hazardous side: it holds only while an assessment shows no hazardous property.",
    "MH": "Mirror entry, hazardous side: it applies where an assessment shows a hazardous property.",
}

_TYPED = re.compile(
    r"(?:(?:EWC|LOW|EURAL|AVV|CER|LER)(?:[ -]CODE)?[ :-]*)?"  # the name of the list, in the languages that use it most
    r"([0-9]{2})(?:[ .-]?([0-9]{2}))?(?:[ .-]?([0-9]{2}))? ?\*?",
    re.IGNORECASE | re.ASCII,
)
_LOST_ZERO = re.compile(r"([0-9])[ .-]?([0-9]{2})[ .-]?([0-9]{2}) ?\*?|([0-9])[ .-]?([0-9]{2})|([0-9])", re.ASCII)
_LEVEL_NAMES = {2: "a chapter", 5: "a subchapter"}


@dataclass(frozen=True, slots=True)
class EwcEntry:
    """One line of the list; ``status`` is ``None`` for chapters and subchapters."""

    code: str
    title: str
    status: HazardStatus | None


@lru_cache(maxsize=65536)
def parse_ewc(value: str | int | float, *, prefixes: bool = False, field: str = "ewc") -> str:
    """The canonical code of what was typed (``"100102"``, ``"10.01.02*"``, ``"EWC 10 01 02"``).

    An asterisk, the list's mark of hazardous entries, is accepted and dropped: the status is known from the code.

    Args:
        value: what was typed; a number only as spreadsheets give it.
        prefixes: whether a chapter (``"10"``) or a subchapter (``"10 01"``) will do.
        field: how the sender calls the place where it stood.

    Raises:
        InvalidCodeError: it is no code of the list; the message offers real ones.

    >>> parse_ewc("10.01.02*"), parse_ewc("1001", prefixes=True)
    ('10 01 02', '10 01')
    """
    text = as_text(value)
    match = _TYPED.fullmatch(text)
    if isinstance(value, bool) or match is None:
        raise InvalidCodeError(
            field, value, _lost_zero(text, prefixes) or f"Give six digits such as {EXAMPLE} or 100102."
        )
    code = " ".join(part for part in match.groups() if part)
    if code not in _list():
        raise InvalidCodeError(field, value, f"The List of Waste has no such code. {_offer(code)}")
    if len(code) < 8 and not prefixes:
        raise InvalidCodeError(field, value, f"That is {_LEVEL_NAMES[len(code)]}; give all six digits. {_offer(code)}")
    return code


def title(code: str) -> str:
    """Title of a canonical code."""
    return _entry(code).title


def hazard_status(code: str) -> HazardStatus | None:
    """Absolute non-hazardous ``AN`` or hazardous ``AH``, mirror ``MN`` or ``MH``; ``None`` above six digits."""
    return _entry(code).status


def hazard_sentence(code: str) -> str:
    """The hazard status of a canonical code, for people."""
    status = hazard_status(code)
    return (
        HAZARD_SENTENCES[status]
        if status
        else "A chapter or subchapter has no hazard status; give all six digits to see it."
    )


def is_ewc(code: str) -> bool:
    """Whether a text is a canonical code, chapter or subchapter."""
    return code in _list()


@cache
def all_codes() -> tuple[str, ...]:
    """Every six-digit code, canonical, ascending."""
    return tuple(sorted(code for code in _list() if len(code) == 8))


def common_prefix(codes: list[str]) -> str | None:
    """The deepest chapter, subchapter or code that holds all of ``codes``; ``None`` where there is none."""
    parts = [code.split() for code in codes]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return " ".join(shared) or None


def _entry(code: str) -> EwcEntry:
    entry = _list().get(code)
    if entry is None:
        raise InvalidCodeError("ewc", code, f"Give a canonical code such as {EXAMPLE}; parse_ewc makes one.")
    return entry


def _lost_zero(text: str, prefixes: bool) -> str | None:
    match = _LOST_ZERO.fullmatch(text)
    if match is None:
        return None
    parts = [part for part in match.groups() if part]
    code = " ".join(["0" + parts[0], *parts[1:]])
    if code not in _list() or (len(code) < 8 and not prefixes):
        return None
    return f"A leading zero seems lost: {code} is {title(code)!r}. Give {code} if that is meant."


def _offer(code: str) -> str:
    near = [_spaced(f"{number:06d}") for number in nearest(int(code.replace(" ", "").ljust(6, "0")), _numbers())]
    return "The nearest are " + ", ".join(f"{other} ({title(other)})" for other in near) + "."


def _spaced(digits: str) -> str:
    return f"{digits[:2]} {digits[2:4]} {digits[4:]}"


@cache
def _numbers() -> tuple[int, ...]:
    return tuple(int(code.replace(" ", "")) for code in all_codes())


@cache
def _list() -> dict[str, EwcEntry]:
    with files("ism.data.codes").joinpath("low.csv").open(encoding="utf-8") as file:
        return {row["code"]: EwcEntry(row["code"], row["title"], _status(row)) for row in csv.DictReader(file)}


def _status(row: dict[str, str]) -> HazardStatus | None:
    status = row["status"]
    if status and status not in get_args(HazardStatus):
        raise ConfigurationError(
            f"low.csv: {row['code']} has the status {status!r}; it must be one of {get_args(HazardStatus)}."
        )
    return cast(HazardStatus, status) if status else None
