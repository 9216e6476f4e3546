"""What a marketplace's tables, columns and words are called; a JSON file changes what differs from the defaults.

A column is a name, or a path into JSON as PostgREST writes it (``properties->>ewc``); ``null`` says that there is none.
Words are compared without regard to case.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ism.domain.errors import ConfigurationError
from ism.domain.feedback import Outcome
from ism.domain.market import ExchangeStatus, ListingKind

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(->[A-Za-z0-9_]+)*(->>[A-Za-z0-9_]+)?", re.ASCII)
_MOST_BYTES = 1024 * 1024


def _named(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("give a name of letters, digits and underscores")
    return value


def _column(value: str) -> str:
    if not _COLUMN.fullmatch(value):
        raise ValueError("give a column, or a path such as properties->>ewc")
    return value


def _lowered(value: object) -> object:
    return {str(key).strip().casefold(): item for key, item in value.items()} if isinstance(value, dict) else value


Name = Annotated[str, AfterValidator(_named)]
Column = Annotated[str, AfterValidator(_column)]
Words = BeforeValidator(_lowered)
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """A table that is read.

    Attributes:
        table: its name.
        id: column that identifies a row; texts, numbers and UUIDs will do.
        changed: column with the time of the last change. Where the default one is missing, the table is read whole
            each time.
    """

    COLUMNS: ClassVar[tuple[str, ...]]
    table: Name
    id: Column = "id"
    changed: Column | None = "updated_at"

    def columns(self) -> dict[str, str]:
        """Field -> column, of all fields that are mapped but ``changed``."""
        found = {name: getattr(self, name) for name in ("id", *self.COLUMNS)}
        return {name: column for name, column in found.items() if column is not None}

    @property
    def demands_changed(self) -> bool:
        """Whether the mapping file itself names the column ``changed``."""
        return "changed" in self.model_fields_set and self.changed is not None


class Companies(Source):
    """Who trades.

    Attributes:
        industry: a NACE code, the title of one, or a word of ``industries``.
        industries: word -> NACE code.
        location: a text; described.
        country: two letters of ISO 3166, where there is such a column.
        main_materials, products: texts or lists; described.
    """

    COLUMNS = ("name", "industry", "location", "country", "latitude", "longitude", "main_materials", "products")
    table: Name = "companies"
    name: Column = "name"
    industry: Column | None = "industry"
    location: Column | None = "location"
    country: Column | None = None
    latitude: Column | None = "latitude"
    longitude: Column | None = "longitude"
    main_materials: Column | None = "main_materials"
    products: Column | None = "products"
    industries: Annotated[dict[str, str], Words] = {}


class Materials(Source):
    """What is offered and needed.

    Attributes:
        type: says which; ``types`` has its words.
        properties: a JSON object; its ``ewc`` and ``hazardous`` are read where they have no column of their own.
        closed: words of ``status`` of what is no longer offered or needed.
        units: word of ``unit`` -> tonnes in one of it. Volumes have no weight unless they get one here.
        frequencies: word of ``frequency`` -> times a year. Without a frequency the quantity is taken as of a year.
        currencies: word of ``currency`` -> euros in one of it. Prices in others are left out.
    """

    COLUMNS = (
        "company_id",
        "material_name",
        "type",
        "category",
        "quantity",
        "unit",
        "frequency",
        "description",
        "quality_grade",
        "price_per_unit",
        "currency",
        "properties",
        "status",
        "ewc",
        "hazardous",
    )
    table: Name = "materials"
    company_id: Column = "company_id"
    material_name: Column = "material_name"
    type: Column = "type"
    category: Column | None = "category"
    quantity: Column | None = "quantity"
    unit: Column | None = "unit"
    frequency: Column | None = "frequency"
    description: Column | None = "description"
    quality_grade: Column | None = "quality_grade"
    price_per_unit: Column | None = "price_per_unit"
    currency: Column | None = "currency"
    properties: Column | None = "properties"
    status: Column | None = "status"
    ewc: Column | None = None
    hazardous: Column | None = None
    types: Annotated[dict[str, ListingKind], Words] = {
        "waste": "offer",
        "offer": "offer",
        "requirement": "need",
        "need": "need",
    }
    closed: tuple[str, ...] = ("inactive", "closed", "archived", "deleted", "expired", "sold", "completed", "exchanged")
    units: Annotated[dict[str, Factor], Words] = {
        "t": 1.0,
        "ton": 1.0,
        "tons": 1.0,
        "tonne": 1.0,
        "tonnes": 1.0,
        "metric ton": 1.0,
        "metric tons": 1.0,
        "mt": 1.0,
        "kg": 0.001,
        "kilogram": 0.001,
        "kilograms": 0.001,
        "g": 1e-6,
        "lb": 0.00045359237,
        "lbs": 0.00045359237,
    }
    frequencies: Annotated[dict[str, Factor], Words] = {
        "daily": 365.0,
        "weekly": 52.0,
        "biweekly": 26.0,
        "monthly": 12.0,
        "quarterly": 4.0,
        "yearly": 1.0,
        "annual": 1.0,
        "annually": 1.0,
        "once": 1.0,
        "one-time": 1.0,
    }
    currencies: Annotated[dict[str, Factor], Words] = {"eur": 1.0, "€": 1.0}


class Matches(Source):
    """What came of matches: ``status`` and ``user_feedback`` become feedback.

    Attributes:
        material_a_id, material_b_id: listings of company A and of company B; one of them is an offer.
        user_feedback: a JSON object with ``rating`` (1 to 5) and ``comment``.
        outcomes: word of ``status`` -> what it says; other words say nothing.
    """

    COLUMNS = ("company_a_id", "company_b_id", "material_a_id", "material_b_id", "status", "user_feedback")
    table: Name = "symbiotic_matches"
    company_a_id: Column = "company_a_id"
    company_b_id: Column = "company_b_id"
    material_a_id: Column | None = "material_a_id"
    material_b_id: Column | None = "material_b_id"
    status: Column = "status"
    user_feedback: Column | None = "user_feedback"
    outcomes: Annotated[dict[str, Outcome], Words] = {
        "contacted": "contacted",
        "in_negotiation": "negotiating",
        "completed": "accepted",
        "rejected": "rejected",
    }


class Exchanges(Source):
    """Materials that really went from one company to another: precedents, and outcomes of matches.

    Attributes:
        unit: of ``quantity``; the material's own unit where it is null.
        statuses: word of ``status`` -> status of a precedent; rows with other words are none.
        outcomes: word of ``status`` -> what it says about the match; other words say nothing.
    """

    COLUMNS = ("from_company_id", "to_company_id", "material_id", "quantity", "unit", "status", "delivered_at")
    table: Name = "material_exchanges"
    from_company_id: Column = "from_company_id"
    to_company_id: Column = "to_company_id"
    material_id: Column = "material_id"
    quantity: Column | None = "quantity"
    unit: Column | None = None
    status: Column = "status"
    delivered_at: Column | None = "delivered_at"
    statuses: Annotated[dict[str, ExchangeStatus], Words] = {
        "delivered": "operating",
        "completed": "operating",
        "active": "operating",
        "in_progress": "operating",
        "planned": "planned",
        "pending": "planned",
        "scheduled": "planned",
    }
    outcomes: Annotated[dict[str, Outcome], Words] = {
        "delivered": "delivered",
        "completed": "delivered",
        "failed": "failed",
    }


class Mapping(_Part):
    """Everything about a marketplace's own tables.

    Attributes:
        matches, exchanges: null where the marketplace has no such table.
        write_matches, write_events: tables that are written (deploy/supabase/ism.sql makes them); null writes none.
    """

    companies: Companies = Companies()
    materials: Materials = Materials()
    matches: Matches | None = Matches()
    exchanges: Exchanges | None = Exchanges()
    write_matches: Name | None = "ai_matches"
    write_events: Name | None = "ai_feedback_events"

    def sources(self) -> dict[SourceName, Source]:
        """Tables that are read, in the order in which they are."""
        found = {
            "companies": self.companies,
            "materials": self.materials,
            "exchanges": self.exchanges,
            "matches": self.matches,
        }
        return {name: source for name, source in found.items() if source is not None}  # type: ignore[misc]  # literals

    def digest(self) -> str:
        """The same for the same mapping."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


SourceName = Literal["companies", "materials", "exchanges", "matches"]


def load_mapping(path: Path | None) -> Mapping:
    """The mapping of a file; the default one when None.

    Raises:
        ConfigurationError: the file cannot be read or used; names the entry.
    """
    if path is None:
        return Mapping()
    where = f"ISM_MARKETPLACE_MAPPING: {path}"
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read ({error.strerror}).") from error
    if len(body) > _MOST_BYTES:
        raise ConfigurationError(f"{where} is larger than {_MOST_BYTES:,} bytes.")
    try:
        return Mapping.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        entry = ".".join(map(str, first["loc"])) or "the whole"
        raise ConfigurationError(f"{where}: {entry}: {first['msg']}. docs/supabase.md lists what there is.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} is no JSON ({error}).") from error
