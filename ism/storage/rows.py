"""Values as rows and back, with every limit checked on the way in.

The database has the same limits as constraints; checking here first names the field and the value, and makes both
databases refuse the same things (SQLite would turn NaN into NULL, PostgreSQL cannot hold a NUL character).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Column, ColumnElement, Table, or_

from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Exchange, Listing
from ism.storage import schema
from ism.storage.base import MarketValue, T

Row = dict[str, Any]
Rule = Callable[[str, object], None]
_Value = TypeVar("_Value")


def check_identifier(field: str, value: object) -> None:
    """Refuse what cannot be an identifier: not a text, empty, or longer than an index entry may be."""
    check_text(field, value)
    if not value or len(str(value)) > schema.MAX_IDENTIFIER:
        raise InvalidInputError(field, value, f"Give an identifier of 1 to {schema.MAX_IDENTIFIER} characters.")


def check_text(field: str, value: object) -> None:
    """Refuse what is not a text that can be written as UTF-8 without NUL."""
    if not isinstance(value, str):
        raise InvalidInputError(field, value, "Give a text.")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInputError(field, value, "Remove the broken character (half of a surrogate pair).") from None
    if "\0" in value:
        raise InvalidInputError(field, value, "Remove the NUL character.")


def check_time(field: str, value: object) -> None:
    """Refuse what is not a point in time."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidInputError(field, value, "Give a time with its zone, such as 2026-01-31T12:00:00Z.")


def check_choice(choices: tuple[str, ...]) -> Rule:
    """A rule that allows a few texts."""

    def rule(field: str, value: object) -> None:
        if value not in choices:
            raise InvalidInputError(field, value, f"Give one of {', '.join(choices)}.")

    return rule


def check_number(limits: tuple[float, float], unit: str) -> Rule:
    """A rule that allows finite numbers in a range."""
    low, high = limits

    def rule(field: str, value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidInputError(field, value, f"Give a number from {low:g} to {high:g}, in {unit}.")

    return rule


def as_json(field: str, value: _Value) -> _Value:
    """A copy as the database will give it back.

    Raises:
        InvalidInputError: JSON cannot hold it.
    """
    try:
        text = json.dumps(value, allow_nan=False)
        copy: _Value = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(field, value, f"Give a value that JSON can hold ({error}).") from error
    # Escapes of what PostgreSQL cannot keep as text.
    if "\\u0000" in text or "\\ud" in text:
        _check_json_texts(field, copy)
    return copy


def _check_json_texts(field: str, value: object) -> None:
    if isinstance(value, str):
        check_text(field, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(field, key)
            _check_json_texts(field, item)
    elif isinstance(value, list):
        for item in value:
            _check_json_texts(field, item)


def _required_text(field: str, value: object) -> None:
    check_text(field, value)
    if value == "":
        raise InvalidInputError(field, value, "It must not be empty.")


def _flag(field: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInputError(field, value, "Give true or false.")


def _day(field: str, value: object) -> None:
    # A datetime is a date to Python, and the two databases would keep different parts of it.
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InvalidInputError(field, value, "Give a date, such as 2026-01-31.")


def _year(field: str, value: object) -> None:
    low, high = schema.YEAR
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInputError(field, value, f"Give a year from {low} to {high}.")


_RULES: dict[str, Rule] = {
    "company_id": check_identifier,
    "listing_id": check_identifier,
    "exchange_id": check_identifier,
    "from_company": check_identifier,
    "to_company": check_identifier,
    "name": _required_text,
    "material": _required_text,
    "latitude": check_number(schema.LATITUDE, "decimal degrees"),
    "longitude": check_number(schema.LONGITUDE, "decimal degrees"),
    "quantity_t_per_year": check_number(schema.QUANTITY, "tonnes a year"),
    "price_eur_per_t": check_number(schema.PRICE, "euros a tonne"),
    "hazardous": _flag,
    "valid_from": _day,
    "valid_until": _day,
    "kind": check_choice(schema.LISTING_KINDS),
    "status": check_choice(schema.EXCHANGE_STATUSES),
    "year_start": _year,
}


@dataclass(frozen=True)
class TableSpec(Generic[T]):
    """How one kind of value is kept.

    Args:
        kind: the value's class; its fields are the table's first columns, in order.
        label: what people call it.
        table: where it lies.
        references: fields that name a company.
        filters: the columns of which one must equal a filter's value.
    """

    kind: type[T]
    label: str
    table: Table
    references: tuple[str, ...]
    filters: Mapping[str, tuple[str, ...]]

    @property
    def key(self) -> Column[Any]:
        """The identifier's column."""
        return next(iter(self.table.primary_key))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the value's fields."""
        return tuple(self.kind.__dataclass_fields__)

    @property
    def columns(self) -> list[Column[Any]]:
        """The columns of the value's fields, in the order of its constructor."""
        return [self.table.c[name] for name in self.fields]

    def value(self, row: Sequence[Any]) -> T:
        """The value of a row of `columns`."""
        return cast("T", self.kind(*row))

    def row(self, value: MarketValue, dataset: str, now: datetime) -> Row:
        """The row of a checked value.

        Raises:
            InvalidInputError: a field cannot be stored.
        """
        row: Row = {name: getattr(value, name) for name in self.fields}
        for name, rule, optional in _rules_of(self.kind):
            item = row[name]
            if item is not None or not optional:
                rule(name, item)
        start, end = row.get("valid_from"), row.get("valid_until")
        if start is not None and end is not None and end < start:
            raise InvalidInputError("valid_until", end, f"Give a date from valid_from ({start}) on.")
        row["dataset"], row["created_at"], row["updated_at"] = dataset, now, now
        return row

    def conditions(self, where: Mapping[str, object] | None) -> list[ColumnElement[bool]]:
        """The filters as SQL.

        Raises:
            InvalidInputError: there is no such filter, or its value is no text.
        """
        found = []
        for name, value in (where or {}).items():
            if name not in self.filters:
                raise InvalidInputError(
                    "where", name, f"Filter {self.label} rows by {', '.join(sorted(self.filters))}."
                )
            check_text(name, value)
            found.append(or_(*(self.table.c[column] == value for column in self.filters[name])))
        return found


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in (*names, "dataset")}


COMPANY = TableSpec(Company, "company", schema.company, (), _same("country", "nace"))
LISTING = TableSpec(Listing, "listing", schema.listing, ("company_id",), _same("kind", "company_id", "ewc"))
EXCHANGE = TableSpec(
    Exchange,
    "exchange",
    schema.exchange,
    ("from_company", "to_company"),
    _same("from_company", "to_company", "ewc", "status") | {"company_id": ("from_company", "to_company")},
)
SPECS: tuple[TableSpec[Any], ...] = (COMPANY, LISTING, EXCHANGE)  # in an order in which rows may be written
_BY_KIND: dict[type[object], TableSpec[Any]] = {spec.kind: spec for spec in SPECS}


def spec_of(kind: type[T]) -> TableSpec[T]:
    """The table of a kind of value.

    Raises:
        InvalidInputError: it is not traded.
    """
    try:
        return _BY_KIND[kind]
    except (KeyError, TypeError):
        raise InvalidInputError("kind", kind, "Give Company, Listing or Exchange.") from None


def changed(value: T, changes: Mapping[str, object], spec: TableSpec[T]) -> T:
    """The value with some fields replaced.

    Raises:
        InvalidInputError: there is no such field, or it is the identifier.
    """
    allowed = [name for name in spec.fields if name != spec.key.name]
    for name in changes:
        if name not in allowed:
            raise InvalidInputError(
                name, changes[name], f"These fields of a {spec.label} can change: {', '.join(allowed)}."
            )
    return cast("T", dataclasses.replace(cast("Any", value), **changes))


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


_rules_cache: dict[type[object], list[tuple[str, Rule, bool]]] = {}


def _rules_of(kind: type[Any]) -> list[tuple[str, Rule, bool]]:
    """Name, rule and whether None is allowed, for each field of a kind; those that default to None may be None."""
    if kind not in _rules_cache:
        _rules_cache[kind] = [
            (item.name, _RULES.get(item.name, check_text), item.default is None) for item in dataclasses.fields(kind)
        ]
    return _rules_cache[kind]
