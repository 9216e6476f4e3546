"""A marketplace's rows as values of the market.

What cannot be understood is left out rather than guessed, and noted; a row without what it needs is refused.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from ism.app.marketplace.mapping import Companies, Exchanges, Materials
from ism.app.marketplace.postgrest import Row
from ism.data.codes import nace
from ism.data.codes.country import parse_country
from ism.data.codes.ewc import parse_ewc
from ism.domain.errors import InvalidCodeError, InvalidInputError
from ism.domain.market import Company, Exchange, Listing
from ism.storage.schema import LATITUDE, LONGITUDE, MAX_IDENTIFIER, PRICE, QUANTITY

SOURCE = "marketplace"
_LONGEST = 10_000  # characters of a description
_NAME = 500  # characters of a name
_YES, _NO = frozenset({"true", "t", "yes", "y", "1"}), frozenset({"false", "f", "no", "n", "0"})
Notes = Counter[str]


def identifier(field: str, value: object) -> str:
    """An identifier: a text, or a whole number as one.

    Raises:
        InvalidInputError: it is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTIFIER or "\0" in value:
        raise InvalidInputError(field, value, f"Give a text of 1 to {MAX_IDENTIFIER} characters, or a number.")
    return value


def company(row: Row, mapping: Companies, notes: Notes) -> Company:
    """A row of companies.

    Args:
        row: field of the mapping -> value.
        mapping: its words.
        notes: counts what was left out.

    Raises:
        InvalidInputError: it has no identifier or no name.
    """
    code = _nace(row.get("industry"), mapping.industries, notes)
    latitude, longitude = _place(row, notes)
    described = [
        *_said("Makes", row.get("products")),
        *_said("Works with", row.get("main_materials")),
        *([] if code else _said("Industry", row.get("industry"))),
        *_said("Located in", row.get("location")),
    ]
    return Company(
        identifier("companies.id", row.get("id")),
        _required("companies.name", row.get("name")),
        code,
        _country(row, notes),
        latitude,
        longitude,
        " ".join(described)[:_LONGEST],
        SOURCE,
    )


def listing(row: Row, mapping: Materials, notes: Notes) -> Listing | None:
    """A row of materials; None where it is no longer offered or needed. Arguments and errors as in `company`."""
    if _word(row.get("status")) in {word.casefold() for word in mapping.closed}:
        return None
    kind = mapping.types.get(_word(row.get("type")))
    if kind is None:
        known = ", ".join(mapping.types)
        raise InvalidInputError("materials.type", row.get("type"), f"Give one of {known}, or map it (types).")
    properties = _properties(row.get("properties"))
    unit = mapping.units.get(_word(row.get("unit")))
    described = [
        *([_text(row.get("description"))] if _text(row.get("description")) else []),
        *_said("Category", row.get("category")),
        *_said("Quality", row.get("quality_grade")),
    ]
    return Listing(
        identifier("materials.id", row.get("id")),
        identifier("materials.company_id", row.get("company_id")),
        kind,
        _required("materials.material_name", row.get("material_name")),
        " ".join(described)[:_LONGEST],
        _ewc(row, properties, notes),
        _tonnes_per_year(row, mapping, unit, notes),
        _euros_per_tonne(row, mapping, unit, notes),
        _flag(row.get("hazardous", properties.get("hazardous"))),
    )


def exchange(row: Row, material: Row | None, mapping: Exchanges, materials: Materials) -> Exchange | None:
    """A row of exchanges; None where nothing was exchanged, nor will be. What it delivered is no amount of a year.

    Args:
        row: field of the mapping -> value.
        material: the row of what was exchanged, where it is still there.
        mapping: words of ``status``.
        materials: how to read ``material``.

    Raises:
        InvalidInputError: an identifier or the material is missing.
    """
    status = mapping.statuses.get(_word(row.get("status")))
    if status is None:
        return None
    if material is None:
        raise InvalidInputError("exchanges.material_id", row.get("material_id"), "Keep the row of what was exchanged.")
    delivered = moment(row.get("delivered_at"))
    return Exchange(
        identifier("exchanges.id", row.get("id")),
        identifier("exchanges.from_company_id", row.get("from_company_id")),
        identifier("exchanges.to_company_id", row.get("to_company_id")),
        _required("materials.material_name", material.get("material_name")),
        _text(material.get("description"))[:_LONGEST],
        _ewc(material, _properties(material.get("properties")), Counter()),
        None,
        delivered.year if delivered is not None else None,
        status,
        "",
        SOURCE,
    )


def tonnes(row: Row, material: Row | None, materials: Materials) -> float | None:
    """How much an exchange moved; None where that is not known."""
    unit = row.get("unit") or (material or {}).get("unit")
    factor, amount = materials.units.get(_word(unit)), _number(row.get("quantity"))
    return None if factor is None or amount is None or not 0 <= amount * factor <= QUANTITY[1] else amount * factor


def moment(value: object) -> datetime | None:
    """A time as PostgreSQL writes it, in UTC; None where it is none. Without a zone it is UTC; a date is its start."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _nace(value: object, words: Mapping[str, str], notes: Notes) -> str | None:
    text = _text(value)
    if not text:
        return None
    told = words.get(text.casefold()) or _titles().get(text.casefold()) or text
    try:
        return nace.parse_nace(told, sections=False, field="companies.industry")
    except InvalidCodeError:
        notes[f"companies.industry: {text[:60]!r} is no NACE code; map it (industries)"] += 1
        return None


@cache
def _titles() -> dict[str, str]:
    """Code of every title of NACE that one code alone has."""
    codes: dict[str, str] = {}
    for code in nace.all_codes():
        if len(code) > 1:
            codes[nace.title(code).casefold()] = code  # a group and its only class share a title; the longer one stays
    return codes


def _country(row: Row, notes: Notes) -> str | None:
    named = _text(row.get("country"))  # not the end of a location: "Dover, DE" lies in Delaware
    try:
        return parse_country(named) if named else None
    except InvalidCodeError:
        notes[f"companies.country: {named[:60]!r} is no code of ISO 3166"] += 1
        return None


def _place(row: Row, notes: Notes) -> tuple[float | None, float | None]:
    latitude, longitude = _number(row.get("latitude")), _number(row.get("longitude"))
    if latitude is None or longitude is None:
        return None, None
    if not (LATITUDE[0] <= latitude <= LATITUDE[1] and LONGITUDE[0] <= longitude <= LONGITUDE[1]):
        notes["companies: a place lies outside the Earth's degrees"] += 1
        return None, None
    return latitude, longitude


def _ewc(row: Row, properties: Mapping[str, Any], notes: Notes) -> str | None:
    named = _text(row.get("ewc", properties.get("ewc")))
    for field, text in (("ewc", named), ("category", _text(row.get("category")))):
        try:
            if text:
                return parse_ewc(text, prefixes=True)
        except InvalidCodeError:
            if field == "ewc":
                notes[f"materials.ewc: {text[:60]!r} is no code of the List of Waste"] += 1
    return None


def _tonnes_per_year(row: Row, mapping: Materials, unit: float | None, notes: Notes) -> float | None:
    amount = _number(row.get("quantity"))
    if amount is None:
        return None
    often = _word(row.get("frequency"))
    times = mapping.frequencies.get(often) if often else 1.0
    if unit is None:
        notes[f"materials.unit: {_text(row.get('unit'))[:60]!r} has no weight; map it (units)"] += 1
    if times is None:
        notes[f"materials.frequency: {often[:60]!r} is not known; map it (frequencies)"] += 1
    if unit is None or times is None:
        return None
    return _within("materials.quantity", amount * unit * times, QUANTITY, notes)


def _euros_per_tonne(row: Row, mapping: Materials, unit: float | None, notes: Notes) -> float | None:
    price, currency = _number(row.get("price_per_unit")), _word(row.get("currency"))
    if price is None or unit is None:
        return None
    rate = mapping.currencies.get(currency)
    if rate is None:
        notes[f"materials.currency: {currency[:60]!r} has no rate; map it (currencies)"] += 1
        return None
    return _within("materials.price_per_unit", price * rate / unit, PRICE, notes)


def _within(field: str, value: float, limits: tuple[float, float], notes: Notes) -> float | None:
    if limits[0] <= value <= limits[1]:
        return value
    notes[f"{field}: a value lies outside {limits[0]:g} to {limits[1]:g}"] += 1
    return None


def _required(field: str, value: object) -> str:
    text = _text(value)
    if not text:
        raise InvalidInputError(field, value, "Give a text.")
    return text[:_NAME]


def _said(about: str, value: object) -> list[str]:
    text = _text(value)
    return [f"{about}: {text}."] if text else []


def _text(value: object) -> str:
    """Texts as they are, lists with commas between; what the database cannot hold is taken out."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    if value is None or isinstance(value, dict):
        return ""
    return str(value).replace("\0", "").encode(errors="replace").decode().strip()


def _word(value: object) -> str:
    return _text(value).casefold()


def _number(value: object) -> float | None:
    """A finite number; PostgREST writes ``numeric`` as one, a text column may hold one."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]  # numbers and texts are left
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _flag(value: object) -> bool | None:
    word = _word(value)
    return True if word in _YES else False if word in _NO else None


def _properties(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}
