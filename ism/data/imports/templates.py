"""What each kind of table looks like: its columns, in the words of the domain."""

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from ism.data.codes.country import parse_country
from ism.data.codes.ewc import parse_ewc
from ism.data.codes.nace import parse_nace
from ism.data.imports import cells
from ism.data.imports.cells import Reader
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Exchange, Listing

Kind = Literal["companies", "listings", "exchanges"]
Value = Company | Listing | Exchange

_ID_LENGTH, _NAME_LENGTH, _TEXT_LENGTH = 200, 500, 10_000
_MOST_TONNES, _MOST_EUROS = 1e10, 1e7


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a template; ``unit`` is empty where there is none."""

    name: str
    description: str
    unit: str
    example: str
    read: Reader
    required: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of table.

    Attributes:
        make: the domain type of a row.
        key: the column that names a row; unique within a file.
        references: columns that name companies.
        columns: in the order in which they are written.
    """

    kind: Kind
    make: type[Value]
    key: str
    references: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that every row must fill."""
        return tuple(column.name for column in self.columns if column.required)


def template(kind: Kind) -> Template:
    """The template of ``companies``, ``listings`` or ``exchanges``.

    Raises:
        InvalidInputError: there is no such kind.
    """
    if kind not in TEMPLATES:
        raise InvalidInputError("kind", kind, f"Choose one of {', '.join(TEMPLATES)}.")
    return TEMPLATES[kind]


def _id(name: str, description: str, example: str) -> Column:
    return Column(name, description, "", example, cells.text(_ID_LENGTH), required=True)


def _text(name: str, description: str, example: str, limit: int = _TEXT_LENGTH) -> Column:
    return Column(name, description, "", example, cells.text(limit))


_EWC = Column(
    "ewc",
    "Code of the European List of Waste; its first two or four digits will do",
    "",
    "10 01 02",
    cells.code(partial(parse_ewc, prefixes=True)),
)
_TONNES = Column(
    "quantity_t_per_year", "Quantity", "t/yr", "50000", cells.number(0, _MOST_TONNES, "t/yr")
)  # fmt: skip
_MATERIAL = Column(
    "material", "What it is, in a few words", "", "coal fly ash", cells.text(_NAME_LENGTH), required=True
)
_SOURCE = _text("source", "Where this is documented", "company register", 2_000)

_COMPANIES = Template(
    "companies",
    Company,
    "company_id",
    (),
    (
        _id("company_id", "Your own identifier of the company, unique in the file", "cement-works-1"),
        Column(
            "name", "Name of the company or site", "", "Example Cement Works", cells.text(_NAME_LENGTH), required=True
        ),
        Column(
            "nace",
            "Sector: code of NACE Rev. 2, two to four digits",
            "",
            "23.51",
            cells.code(partial(parse_nace, sections=False)),
        ),
        Column("country", "Country: two letters of ISO 3166", "", "DE", cells.code(parse_country)),
        Column("latitude", "Latitude of the site, WGS 84", "degrees", "51.5", cells.number(-90, 90, "degrees")),
        Column("longitude", "Longitude of the site, WGS 84", "degrees", "7.46", cells.number(-180, 180, "degrees")),
        _text("description", "What the company makes and needs", "Makes Portland cement."),
        _SOURCE,
    ),
)
_LISTINGS = Template(
    "listings",
    Listing,
    "listing_id",
    ("company_id",),
    (
        _id("listing_id", "Your own identifier of the listing, unique in the file", "fly-ash-2026"),
        _id("company_id", "Company that offers or needs; it must be known already", "power-station-1"),
        Column("kind", "offer or need", "", "offer", cells.choice("offer", "need"), required=True),
        _MATERIAL,
        _text("description", "Composition, form, purity, frequency", "Dry, silo, loss on ignition below 5 %."),
        _EWC,
        _TONNES,
        Column(
            "price_eur_per_t",
            "Price asked; negative where the giver pays",
            "EUR/t",
            "-5",
            cells.number(-_MOST_EUROS, _MOST_EUROS, "EUR/t"),
        ),
        Column("hazardous", "Whether it is hazardous waste: yes or no", "", "no", cells.boolean()),
        Column("valid_from", "First day of the listing", "date", "2026-01-01", cells.day()),
        Column("valid_until", "Last day of the listing", "date", "2026-12-31", cells.day()),
    ),
)
_EXCHANGES = Template(
    "exchanges",
    Exchange,
    "exchange_id",
    ("from_company", "to_company"),
    (
        _id("exchange_id", "Your own identifier of the exchange, unique in the file", "ash-to-cement-1"),
        _id("from_company", "Company that gave; it must be known already", "power-station-1"),
        _id("to_company", "Company that took; it must be known already", "cement-works-1"),
        _MATERIAL,
        _text("description", "Composition, form, purity", "Dry, by tank truck."),
        _EWC,
        _TONNES,
        Column("year_start", "Year in which it began", "year", "2019", cells.year(1800, 2200)),
        Column(
            "status",
            "operating, discontinued, planned or unknown",
            "",
            "operating",
            cells.choice("operating", "discontinued", "planned", "unknown"),
        ),
        _text("receiver_use", "What the receiver used it for", "Constituent of cement."),
        _SOURCE,
        _text("checked_against", "Record that this row was checked against", "", 2_000),
    ),
)
TEMPLATES: MappingProxyType[Kind, Template] = MappingProxyType(
    {"companies": _COMPANIES, "listings": _LISTINGS, "exchanges": _EXCHANGES}
)
