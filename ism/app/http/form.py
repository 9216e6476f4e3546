"""The form of the page: what people type, read as leniently as spreadsheet cells and refused as clearly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ism.data.imports.templates import Column, template
from ism.domain.errors import InvalidInputError
from ism.domain.market import Offer

FIELDS = (
    "material",
    "description",
    "ewc",
    "quantity_t_per_year",
    "price_eur_per_t",
    "hazardous",
    "nace",
    "country",
    "latitude",
    "longitude",
)
EXAMPLES = (
    {
        "label": "Coal fly ash",
        "material": "coal fly ash",
        "description": "dry, from a pulverised-coal power station",
        "ewc": "10 01 02",
        "quantity_t_per_year": "50000",
        "nace": "35.11",
        "country": "DK",
        "latitude": "55.66",
        "longitude": "11.08",
    },
    {
        "label": "Brewers’ spent grain",
        "material": "brewers' spent grain",
        "description": "wet, fresh daily",
        "ewc": "02 07 04",
        "quantity_t_per_year": "8000",
        "nace": "11.05",
        "country": "DE",
    },
    {
        "label": "Blast-furnace slag",
        "material": "granulated blast-furnace slag",
        "ewc": "10 02 01",
        "quantity_t_per_year": "250000",
        "nace": "24.10",
        "country": "AT",
    },
    {
        "label": "Low-grade waste heat",
        "material": "waste heat as hot water at 60 °C",
        "nace": "20.15",
        "country": "NL",
    },
)
_COLUMNS: dict[str, Column] = {
    column.name: column for table in (template("companies"), template("listings")) for column in table.columns
}


@dataclass(frozen=True)
class Form:
    """What was typed, and what came of it.

    Attributes:
        typed: texts by field, to show again.
        errors: what to say beside a field.
        offer: None while there are errors.
    """

    typed: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    offer: Offer | None = None


def prefilled(given: Mapping[str, str]) -> Form:
    """A form that nobody has sent yet."""
    return Form({name: given.get(name, "")[:10_000] for name in FIELDS})


def read(given: Mapping[str, Any]) -> Form:
    """A sent form; every field that cannot be used is named at once."""
    typed = {name: value.strip() if isinstance(value := given.get(name, ""), str) else "" for name in FIELDS}
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, text in typed.items():
        if not text:
            continue
        try:
            values[name] = _COLUMNS[name].read(text, False)
        except InvalidInputError as error:
            errors[name] = error.remedy
    if not typed["material"]:
        errors["material"] = "Say what the material is."
    for name, other in (("latitude", "longitude"), ("longitude", "latitude")):
        if typed[other] and not typed[name]:
            errors[name] = "Give both latitude and longitude, or neither."
    return Form(typed, errors, None if errors else Offer(**values))
