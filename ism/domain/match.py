"""The answer to "who could use this?"."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ism.domain.engine import Reason
from ism.domain.market import Offer, ReceiverKind


@dataclass(frozen=True, slots=True)
class Interval:
    """An uncertain amount: ``low <= central <= high``."""

    low: float
    central: float
    high: float


@dataclass(frozen=True, slots=True)
class Factor:
    """One published figure that an estimate used."""

    name: str
    value: Interval
    unit: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one tonne exchanged would save or cost; negative is a saving.

    Attributes:
        cost_eur_per_t: euros a tonne, or None with the reason in ``missing``.
        co2e_kg_per_t: kg CO2 equivalent a tonne, or None with the reason in ``missing``.
    """

    cost_eur_per_t: Interval | None
    co2e_kg_per_t: Interval | None
    factors: tuple[Factor, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchedReceiver:
    """Who could take it: a listed company, or a sector to approach."""

    kind: ReceiverKind
    id: str
    name: str
    nace: str | None = None
    nace_title: str = ""
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """One ranked receiver."""

    recommendation_id: str
    rank: int
    receiver: MatchedReceiver
    final_score: float
    confidence: float
    engine_contributions: dict[str, float]
    reasons: tuple[Reason, ...]
    distance_km: float | None
    quantity_t_per_year: float | None
    estimate: Estimate
    hazard: str


@dataclass(frozen=True, slots=True)
class MatchResult:
    """A ranked answer.

    Attributes:
        missing_engines: engines that did not take part, with the reason.
        model_versions: engine or fusion model -> version.
        notes: things the person should know (an unknown place, an empty market).
    """

    request_id: str
    offer: Offer
    matches: tuple[Match, ...]
    missing_engines: dict[str, str] = field(default_factory=dict)
    model_versions: dict[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchFilters:
    """Which receivers may appear; ``None`` does not filter.

    Attributes:
        max_distance_km: receivers of unknown place are left out when set.
        nace: only receivers of this code or below.
    """

    kind: ReceiverKind | None = None
    countries: tuple[str, ...] | None = None
    nace: str | None = None
    max_distance_km: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The filters that are set."""
        values = {
            "kind": self.kind,
            "countries": self.countries,
            "nace": self.nace,
            "max_distance_km": self.max_distance_km,
        }
        return {name: value for name, value in values.items() if value is not None}
