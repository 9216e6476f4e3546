"""ISIC Rev. 4, the United Nations' list of economic activities, and what it corresponds to in NACE Rev. 2.

Canonical codes have no dot: ``"2394"``.
"""

import re
from functools import cache

from ism.data.codes._tables import activity_rows, as_text
from ism.data.codes.nace import is_nace
from ism.domain.errors import InvalidCodeError

_TYPED = re.compile(r"(?:ISIC(?:[ _]?REV\.?[ _]?4)?[ :_-]*)?([A-U]?)([0-9]{0,4})", re.IGNORECASE | re.ASCII)


def parse_isic(value: str | int, *, field: str = "isic") -> str:
    """The canonical code of what was typed (``"2394"``, ``"ISIC 2394"``, ``"C"``).

    Raises:
        InvalidCodeError: it is no code of ISIC Rev. 4.
    """
    match = _TYPED.fullmatch(as_text(value))
    code = (match[2] or match[1].upper()) if match else ""
    if isinstance(value, bool) or code not in _titles():
        raise InvalidCodeError(field, value, "Give an ISIC Rev. 4 code such as 2394 or C.")
    return code


def title(code: str) -> str:
    """Title of a canonical code."""
    return _titles()[parse_isic(code)]


def to_nace(code: str) -> tuple[str, ...]:
    """The NACE Rev. 2 codes of an ISIC code, ascending: one, or several where NACE is finer."""
    return _correspondence().get(parse_isic(code), ())


@cache
def _titles() -> dict[str, str]:
    rows = activity_rows("tree_isic_rev4")
    return {row["code"]: row["name"] for row in rows if re.fullmatch(r"[A-U]|[0-9]{2,4}", row["code"])}


@cache
def _correspondence() -> dict[str, tuple[str, ...]]:
    pairs: dict[str, set[str]] = {}
    for row in activity_rows("conc_isic_rev4_nace_rev2"):
        if is_nace(row["activitytype_to"]):
            pairs.setdefault(row["activitytype_from"], set()).add(row["activitytype_to"])
    return {code: tuple(sorted(targets)) for code, targets in pairs.items()}
