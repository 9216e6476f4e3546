"""Companies, listings and exchanges."""

import uuid
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field

from ism.app.http.access import MAY_WRITE, App, api_router
from ism.app.http.schemas import (
    CompanyChange,
    CompanyIn,
    Country,
    Ewc,
    ListingChange,
    ListingIn,
    Nace,
    company_of,
    listing_of,
)
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Exchange, ExchangeStatus, Listing, ListingKind

T = TypeVar("T")
router = api_router("Market")

Filter = Annotated[str | None, Query(max_length=200)]
Key = Annotated[str, Path(min_length=1, max_length=200)]


class PageOf(BaseModel, Generic[T]):
    """Some items in order of identifier."""

    items: list[T]
    after: str | None = Field(None, description="Cursor of the next page; null on the last one.")
    total: int = Field(description="How many there are on all pages.")


@dataclass(frozen=True)
class Paging:
    """Which part of a list is wanted."""

    after: Annotated[str | None, Query(max_length=200, description="Cursor: `after` of the page before.")] = None
    limit: Annotated[int, Query(ge=1, le=1000, description="Most items to return.")] = 100
    dataset: Annotated[str | None, Query(max_length=200, description="Only items that came with this set.")] = None


Wanted = Annotated[Paging, Depends()]


def _page(application: App, kind: type[T], wanted: Paging, /, **where: str | None) -> PageOf[T]:
    chosen = {name: value for name, value in {**where, "dataset": wanted.dataset}.items() if value is not None}
    store: Any = application.store  # the store knows three kinds, a type variable cannot say so
    page = store.page(kind, after=wanted.after, limit=wanted.limit, where=chosen)
    return PageOf(items=page.items, after=page.after, total=store.count(kind, chosen))


@router.get("/api/companies", summary="List companies")
def list_companies(
    application: App,
    wanted: Wanted,
    country: Annotated[Country | None, Query()] = None,
    nace: Annotated[Nace | None, Query()] = None,
) -> PageOf[Company]:
    """A page of companies."""
    return _page(application, Company, wanted, country=country, nace=nace)


@router.post("/api/companies", status_code=201, dependencies=MAY_WRITE, summary="Add a company")
def add_company(company: CompanyIn, application: App, response: Response) -> Company:
    """Store a new company."""
    value = company_of(company, company.company_id or uuid.uuid4().hex)
    application.store.create(value)
    return value


@router.get("/api/companies/{company_id:path}", summary="Show a company")
def show_company(company_id: Key, application: App) -> Company:
    """One company."""
    return application.store.get(Company, company_id)


@router.patch("/api/companies/{company_id:path}", dependencies=MAY_WRITE, summary="Change a company")
def change_company(company_id: Key, change: CompanyChange, application: App) -> Company:
    """Change some fields of a company."""
    changes = change.model_dump(exclude_unset=True)
    after = {**asdict(application.store.get(Company, company_id)), **changes}
    for one, other in (("latitude", "longitude"), ("longitude", "latitude")):
        if after[one] is None and after[other] is not None:
            raise InvalidInputError(one, None, "Give both latitude and longitude, or neither.")
    return application.store.update(Company, company_id, changes)


@router.delete("/api/companies/{company_id:path}", status_code=204, dependencies=MAY_WRITE, summary="Remove a company")
def remove_company(company_id: Key, application: App) -> None:
    """Remove a company with its listings; refused while exchanges name it."""
    application.store.delete(Company, company_id)


@router.get("/api/listings", summary="List listings")
def list_listings(
    application: App,
    wanted: Wanted,
    kind: ListingKind | None = None,
    company_id: Filter = None,
    ewc: Annotated[Ewc | None, Query()] = None,
) -> PageOf[Listing]:
    """A page of offers and needs."""
    return _page(application, Listing, wanted, kind=kind, company_id=company_id, ewc=ewc)


@router.post("/api/listings", status_code=201, dependencies=MAY_WRITE, summary="Add a listing")
def add_listing(listing: ListingIn, application: App) -> Listing:
    """Store a new offer or need of a stored company."""
    value = listing_of(listing, listing.listing_id or uuid.uuid4().hex)
    application.store.create(value)
    return value


@router.get("/api/listings/{listing_id:path}", summary="Show a listing")
def show_listing(listing_id: Key, application: App) -> Listing:
    """One listing."""
    return application.store.get(Listing, listing_id)


@router.patch("/api/listings/{listing_id:path}", dependencies=MAY_WRITE, summary="Change a listing")
def change_listing(listing_id: Key, change: ListingChange, application: App) -> Listing:
    """Change some fields of a listing."""
    return application.store.update(Listing, listing_id, change.model_dump(exclude_unset=True))


@router.delete("/api/listings/{listing_id:path}", status_code=204, dependencies=MAY_WRITE, summary="Remove a listing")
def remove_listing(listing_id: Key, application: App) -> None:
    """Remove a listing."""
    application.store.delete(Listing, listing_id)


@router.get("/api/exchanges", summary="List documented exchanges")
def list_exchanges(
    application: App,
    wanted: Wanted,
    company_id: Filter = None,
    ewc: Annotated[Ewc | None, Query()] = None,
    status: ExchangeStatus | None = None,
) -> PageOf[Exchange]:
    """A page of exchanges: what really went from one company to another. `company_id` finds either side."""
    return _page(application, Exchange, wanted, company_id=company_id, ewc=ewc, status=status)
