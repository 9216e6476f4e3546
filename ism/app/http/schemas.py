"""What comes in, checked; what goes out are the values of `ism.domain` as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ism.data.codes.country import parse_country
from ism.data.codes.ewc import parse_ewc
from ism.data.codes.nace import parse_nace
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Listing, ListingKind, Offer, ReceiverKind
from ism.domain.match import MatchFilters

T = TypeVar("T")


def _checked(parse: Callable[[str], str]) -> AfterValidator:
    """A validator that reports our own remedies."""

    def validate(value: str) -> str:
        try:
            return parse(value)
        except InvalidInputError as error:
            # as a value of the context, since a remedy may hold braces
            raise PydanticCustomError("invalid_code", "{remedy}", {"remedy": error.remedy}) from error

    return AfterValidator(validate)


Identifier = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(max_length=10_000)]
Ewc = Annotated[
    str,
    Field(max_length=40, description="Code of the European List of Waste.", examples=["10 01 02"]),
    _checked(lambda code: parse_ewc(code, prefixes=True)),
]
Nace = Annotated[
    str,
    Field(max_length=40, description="Sector: NACE Rev. 2, two to four digits.", examples=["35.11"]),
    _checked(lambda code: parse_nace(code, sections=False)),
]
Country = Annotated[
    str, Field(max_length=10, description="ISO 3166, two letters.", examples=["DK"]), _checked(parse_country)
]
Latitude = Annotated[float, Field(ge=-90, le=90, strict=True, description="Decimal degrees, WGS 84.")]
Longitude = Annotated[float, Field(ge=-180, le=180, strict=True, description="Decimal degrees, WGS 84.")]
Tonnes = Annotated[float, Field(ge=0, le=1e10, strict=True, description="Tonnes a year.", examples=[50000])]
Price = Annotated[
    float, Field(ge=-1e7, le=1e7, strict=True, description="Euros a tonne; negative where the giver pays.")
]
Top = Annotated[int, Field(ge=1, le=100, strict=True, description="How many receivers to return at most.")]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


class _Placed(_Input):
    country: Country | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            missing = "latitude" if self.latitude is None else "longitude"
            raise PydanticCustomError(
                "half_a_place", "{missing} is missing: give both or neither", {"missing": missing}
            )
        return self


class _Material(_Input):
    material: Name = Field(examples=["coal fly ash"])
    description: Text = Field("", description="Composition, form, purity, frequency.")
    ewc: Ewc | None = None
    quantity_t_per_year: Tonnes | None = None
    price_eur_per_t: Price | None = None
    hazardous: bool | None = None
    valid_from: date | None = None
    valid_until: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise PydanticCustomError("dates_in_order", "valid_until lies before valid_from: swap or correct them")
        return self


class OfferIn(_Material, _Placed):
    """A waste offer, with what is known of the offering company's site."""

    nace: Nace | None = Field(None, description="Sector of the offering company.")

    def value(self) -> Offer:
        """The domain's value."""
        return _as(Offer, self)


class CompanyIn(_Placed):
    """A company at one site."""

    company_id: Identifier | None = Field(None, description="Your own identifier; one is made where it is left out.")
    name: Name
    nace: Nace | None = None
    description: Text = ""
    source: Text = Field("", description="Where this is documented.")


class CompanyChange(_Input):
    """Fields of a company to change; null empties a field that may be unknown."""

    name: Name | None = None
    nace: Nace | None = None
    country: Country | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    description: Text | None = None
    source: Text | None = None


class ListingIn(_Material):
    """What a company offers or needs."""

    listing_id: Identifier | None = Field(None, description="Your own identifier; one is made where it is left out.")
    company_id: Identifier
    kind: ListingKind


class ListingChange(_Input):
    """Fields of a listing to change; null empties a field that may be unknown."""

    company_id: Identifier | None = None
    kind: ListingKind | None = None
    material: Name | None = None
    description: Text | None = None
    ewc: Ewc | None = None
    quantity_t_per_year: Tonnes | None = None
    price_eur_per_t: Price | None = None
    hazardous: bool | None = None
    valid_from: date | None = None
    valid_until: date | None = None


class PartyListingIn(_Material):
    """A listing of a seller or a buyer in a question about the two."""

    kind: ListingKind | None = Field(None, description="``offer`` of a seller, ``need`` of a buyer, where left out.")


class PartyIn(_Placed):
    """A seller or a buyer, listed or not."""

    company_id: Identifier | None = Field(None, description="Of a listed company.")
    name: Name
    nace: Nace | None = None
    description: Text = ""
    listings: list[PartyListingIn] = Field([], max_length=100)

    def company(self, role: str) -> Company:
        """The company; ``role`` names it where it has no identifier."""
        identifier = self.company_id or f"unlisted:{role}"
        return _as(Company, self, company_id=identifier)

    def offers(self) -> list[Offer]:
        """What it offers, from its site."""
        site = {name: getattr(self, name) for name in ("nace", "country", "latitude", "longitude", "company_id")}
        return [_as(Offer, listing, **site) for listing in self.listings if listing.kind != "need"]

    def needs(self, company_id: str) -> list[Listing]:
        """What it asks for."""
        return [
            _as(Listing, listing, listing_id=f"{company_id}:{number}", company_id=company_id, kind="need")
            for number, listing in enumerate(self.listings)
            if listing.kind != "offer"
        ]


class FiltersIn(_Input):
    """Which receivers may appear."""

    kind: ReceiverKind | None = None
    countries: list[Country] | None = Field(None, min_length=1, max_length=250)
    nace: Nace | None = Field(None, description="Only receivers of this code or below.")
    max_distance_km: Annotated[float, Field(gt=0, le=21_000, strict=True)] | None = None

    def value(self) -> MatchFilters:
        """The domain's value."""
        countries = None if self.countries is None else tuple(self.countries)
        return MatchFilters(self.kind, countries, self.nace, self.max_distance_km)


class MatchRequest(_Input):
    """Who could use this? Exactly one of: an offer, the identifier of a listed offer, a seller with a buyer."""

    offer: OfferIn | None = None
    offer_id: Identifier | None = None
    seller: PartyIn | None = None
    buyer: PartyIn | None = None
    top: Top = 20
    filters: FiltersIn | None = None
    narrative: bool | None = Field(
        None, description="False declines the text of a language model, where the server has one set."
    )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.seller is None) != (self.buyer is None):
            raise PydanticCustomError("half_a_pair", "give both seller and buyer, or neither")
        asked = [self.offer is not None, self.offer_id is not None, self.seller is not None]
        if sum(asked) != 1:
            raise PydanticCustomError("one_question", "give exactly one of offer, offer_id, or seller with buyer")
        return self


class EngineQuestion(_Input):
    """What does one engine say of an offer? Exactly one of: an offer, the identifier of a listed one."""

    offer: OfferIn | None = None
    offer_id: Identifier | None = None
    receivers: list[Identifier] | None = Field(
        None, max_length=10_000, description="Companies, or sectors as ``nace:23.51``; all when left out."
    )
    top: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 20

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.offer is None) == (self.offer_id is None):
            raise PydanticCustomError("one_question", "give exactly one of offer, offer_id")
        return self


class KeyIn(_Input):
    """A new API key."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: Literal["viewer", "operator", "admin", "service"] = "operator"


def _as(kind: type[T], model: BaseModel, /, **more: Any) -> T:
    """A domain value from a model's fields of the same names."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # only dataclasses are passed
    return kind(**{**{name: value for name, value in model.model_dump().items() if name in names}, **more})


def company_of(model: CompanyIn, identifier: str) -> Company:
    """A company to store."""
    return _as(Company, model, company_id=identifier)


def listing_of(model: ListingIn, identifier: str) -> Listing:
    """A listing to store."""
    return _as(Listing, model, listing_id=identifier)
