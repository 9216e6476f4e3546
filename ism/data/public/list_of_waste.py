"""The European List of Waste as DEFRA publishes it (open government licence): what our own list is compared with."""

import re
from dataclasses import dataclass
from pathlib import Path

from ism.data.codes.ewc import HazardStatus
from ism.data.public import required_file
from ism.domain.errors import InvalidInputError

FILE = "list_of_waste/ewc_codes_defra.js"

_STATUSES: dict[str, HazardStatus] = {
    "absolute non-hazardous": "AN",
    "absolute hazardous": "AH",
    "mirror non-hazardous": "MN",
    "mirror hazardous": "MH",
}
_ENTRY = re.compile(r"\{\s*\w+\s*:[^{}]*\}")
_FIELD = re.compile(
    r"""(?P<name>\w+)\s*:\s*(?:'(?P<single>(?:\\.|[^'\\])*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<bare>\w+))""",
)
_CODE = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublishedWaste:
    """One six-digit code as published; ``code`` is canonical."""

    code: str
    description: str
    hazardous: bool
    status: HazardStatus
    chapter: str
    subchapter: str


def read(path: Path) -> list[PublishedWaste]:
    """Every code of the published file, in its order.

    Raises:
        InvalidInputError: the file is not what DEFRA publishes; the message names the entry.
    """
    text = required_file(path).read_text(encoding="utf-8")
    entries = [_entry(match.group(), number) for number, match in enumerate(_ENTRY.finditer(text), start=1)]
    if not entries:
        raise InvalidInputError("path", str(path), "Expected a JavaScript list of entries with code and entryTypeDesc.")
    return entries


def _entry(text: str, number: int) -> PublishedWaste:
    fields = {
        match["name"]: re.sub(r"\\(.)", r"\1", match["single"] or match["double"] or match["bare"] or "")
        for match in _FIELD.finditer(text)
    }
    code = _CODE.fullmatch(fields.get("code", ""))
    status = _STATUSES.get(fields.get("entryTypeDesc", "").strip().lower())
    if code is None or status is None:
        raise InvalidInputError(f"entry {number}", text, "Expected six digits as code and one of the four entry types.")
    return PublishedWaste(
        code=" ".join(code.groups()),
        description=fields.get("description", ""),
        hazardous=fields.get("isHazardous") == "true",
        status=status,
        chapter=fields.get("chapter", ""),
        subchapter=fields.get("subChapter", ""),
    )
