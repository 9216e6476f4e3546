"""What is traded and who trades it: plain values, without behaviour or third-party types.

Units: tonnes a year, euros a tonne, decimal degrees (WGS 84), UTC dates. ``None`` means "not known".
Codes are canonical: EWC as ``"10 01 02"`` (or a prefix, ``"10"`` or ``"10 01"``), NACE Rev. 2 as ``"23.51"`` (or a
prefix, ``"23"`` or ``"23.5"``).
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

ListingKind = Literal["offer", "need"]
ReceiverKind = Literal["company", "sector"]
ExchangeStatus = Literal["operating", "discontinued", "planned", "unknown"]


@dataclass(frozen=True, slots=True)
class Company:
    """A firm at one site."""

    company_id: str
    name: str
    nace: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    description: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a company offers (a waste or by-product) or needs (a material it would take)."""

    listing_id: str
    company_id: str
    kind: ListingKind
    material: str
    description: str = ""
    ewc: str | None = None
    quantity_t_per_year: float | None = None
    price_eur_per_t: float | None = None
    hazardous: bool | None = None
    valid_from: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A material that really went from one company to another: a precedent."""

    exchange_id: str
    from_company: str
    to_company: str
    material: str
    description: str = ""
    ewc: str | None = None
    quantity_t_per_year: float | None = None
    year_start: int | None = None
    status: ExchangeStatus = "unknown"
    receiver_use: str = ""
    source: str = ""
    checked_against: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A waste offer as it is matched: a listing together with what is known of the offering company."""

    material: str
    description: str = ""
    ewc: str | None = None
    quantity_t_per_year: float | None = None
    price_eur_per_t: float | None = None
    hazardous: bool | None = None
    nace: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    offer_id: str | None = None
    company_id: str | None = None

    @property
    def text(self) -> str:
        """Material and description as one text."""
        return f"{self.material}. {self.description}" if self.description else self.material


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One receiver as it was shown for one request: what later feedback is joined to.

    ``propensity`` is the probability, in 0..1, that the policy put this receiver at this rank.
    """

    recommendation_id: str
    request_id: str
    rank: int
    receiver_kind: ReceiverKind
    receiver_id: str
    final_score: float
    confidence: float
    propensity: float
    engine_scores: dict[str, float] = field(default_factory=dict)
    model_versions: dict[str, str] = field(default_factory=dict)
    offer: dict[str, object] = field(default_factory=dict)
    created_at: datetime | None = None
