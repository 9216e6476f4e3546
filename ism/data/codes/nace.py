"""NACE Rev. 2: which sector a company works in.

Canonical codes: section ``"C"``, division ``"23"``, group ``"23.5"``, class ``"23.51"``.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from ism.data.codes._tables import activity_rows, as_text, nearest
from ism.domain.errors import InvalidCodeError

EXAMPLE = "23.51"

_CANONICAL = re.compile(r"[A-U]|[0-9]{2}(\.[0-9]{1,2})?")
_TYPED = re.compile(
    r"(?:NACE(?:[ _]?REV\.?[ _]?2)?[ :_-]*)?"  # the name of the list
    r"(?:(?P<section>[A-Z])(?:[ .-]?(?=[0-9]))?)?"
    r"(?P<division>[0-9]{1,2})?(?:(?P<dot>[ .]?)(?P<rest>[0-9]{1,2}))?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class NaceEntry:
    """One line of the tree; ``ancestors`` run from the parent up to the section."""

    code: str
    title: str
    ancestors: tuple[str, ...]


@lru_cache(maxsize=65536)
def parse_nace(value: str | int | float, *, sections: bool = True, field: str = "nace") -> str:
    """The canonical code of what was typed (``"C23.51"``, ``"2351"``, ``"NACE 23.5"``, ``"C"``).

    Args:
        value: what was typed; a float only as spreadsheets give it.
        sections: whether a section (``"C"``) will do.
        field: how the sender calls the place where it stood.

    Raises:
        InvalidCodeError: it is no code of NACE Rev. 2; the message offers real ones.

    >>> parse_nace("C23.51"), parse_nace("2351"), parse_nace("23.5")
    ('23.51', '23.51', '23.5')
    """
    text = as_text(value)
    match = _TYPED.fullmatch(text)
    if isinstance(value, bool) or match is None or not (match["section"] or match["division"]):
        raise InvalidCodeError(field, value, f"Give a NACE Rev. 2 code such as {EXAMPLE}, 2351 or C.")
    section, code = (match["section"] or "").upper(), _dotted(match)
    entry = _tree().get(code or section)
    if entry is None:
        raise InvalidCodeError(field, value, _remedy(code or section))
    if not code and not sections:
        raise InvalidCodeError(field, value, f"A section is too coarse; give two to four digits such as {EXAMPLE}.")
    if not section and not match["dot"] and len(code) == 4 and _padded(code) in _tree():
        both = f"{code} ({entry.title}) or {_padded(code)} ({title(_padded(code))})"
        raise InvalidCodeError(field, value, f"It could mean {both}: write it with its dot.")
    if section and code and entry.ancestors[-1] != section:
        right = entry.ancestors[-1]
        raise InvalidCodeError(
            field, value, f"{code} belongs to section {right}, not {section}: give {right}{code} or {code}."
        )
    return entry.code


def title(code: str) -> str:
    """Title of a canonical code, e.g. ``"Manufacture of cement"``."""
    return _entry(code).title


def parents(code: str) -> tuple[str, ...]:
    """Ancestors of a canonical code from its parent up to its section: ``("23.5", "23", "C")`` for ``"23.51"``."""
    return _entry(code).ancestors


def is_nace(code: str) -> bool:
    """Whether a text is a canonical code."""
    return code in _tree()


def common_parent(codes: list[str]) -> str | None:
    """The deepest code that holds all of ``codes`` (canonical), one of them included; ``None`` where there is none."""
    chains = [(code, *parents(code)) for code in codes]
    return next((code for code in chains[0] if all(code in chain for chain in chains)), None) if chains else None


@cache
def all_classes() -> tuple[str, ...]:
    """The 615 four-digit classes, ascending."""
    return tuple(sorted(code for code in _tree() if len(code) == 5))


@cache
def all_codes() -> tuple[str, ...]:
    """Every canonical code, ascending: sections, divisions, groups and classes."""
    return tuple(sorted(_tree()))


def _entry(code: str) -> NaceEntry:
    entry = _tree().get(code)
    if entry is None:
        raise InvalidCodeError(
            "nace", code, f"Give a canonical NACE Rev. 2 code such as {EXAMPLE}; parse_nace makes one."
        )
    return entry


def _dotted(match: "re.Match[str]") -> str:
    """Digits with the dot where NACE has it; a group typed without its dot (``235``) is read as ``23.5``."""
    division, rest = match["division"] or "", match["rest"] or ""
    return f"{division}.{rest}" if rest else division


def _padded(code: str) -> str:
    """What the code was if it lost a leading zero on its way, canonical."""
    return _canonical("0" + code.replace(".", ""))


def _remedy(code: str) -> str:
    if code.isalpha():
        return f"Sections run from A to U. Give a NACE Rev. 2 code such as {EXAMPLE}."
    if (padded := _padded(code)) in _tree():
        return f"A leading zero seems lost: {padded} is {title(padded)!r}. Give {padded} if that is meant."
    near = (
        _canonical(f"{number:04d}") for number in nearest(int(code.replace(".", "").ljust(4, "0")), _class_numbers())
    )
    return f"NACE Rev. 2 has no such code. The nearest are {', '.join(f'{c} ({title(c)})' for c in near)}."


def _canonical(digits: str) -> str:
    return digits if len(digits) <= 2 else f"{digits[:2]}.{digits[2:]}"


@cache
def _class_numbers() -> tuple[int, ...]:
    return tuple(int(code.replace(".", "")) for code in all_classes())


@cache
def _tree() -> dict[str, NaceEntry]:
    rows = {row["code"]: row for row in activity_rows("tree_nace_rev2")}
    # The published table also holds aggregates of national accounts ("10-12", "P3_S13"); those are no NACE codes.
    return {
        code: NaceEntry(code, " ".join(row["name"].split()), _ancestors(code, rows))
        for code, row in rows.items()
        if _CANONICAL.fullmatch(code)
    }


def _ancestors(code: str, rows: dict[str, dict[str, str]]) -> tuple[str, ...]:
    found, parent = [], rows[code]["parent_code"]
    while parent in rows:
        if _CANONICAL.fullmatch(parent):
            found.append(parent)
        parent = rows[parent]["parent_code"]
    return tuple(found)
