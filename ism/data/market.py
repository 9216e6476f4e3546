"""The market as column arrays: what engines read.

A `Market` is a snapshot that nobody changes. Receivers are rows; what they took before are precedents, sorted by
receiver so that a sum or maximum over one receiver's precedents is one `reduceat`. Codes are kept as their ancestors,
one column a level, so that "same subchapter" is an integer comparison. Unknown is -1 for codes, NaN for numbers, the
zero vector for a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ism.data.codes import ewc
from ism.data.text import TextEncoder, Vectors
from ism.domain.market import Offer, ReceiverKind

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]
Degrees = float | np.float32 | Floats

EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True, eq=False)
class Receivers:
    """Who could take an offer; arrays of length ``n``.

    Attributes:
        ids: identifiers, unique.
        names: what people call them.
        kinds: ``company`` or ``sector``.
        nace: ``[n, 3]`` division, group, class (``23, 235, 2351``).
        latitude, longitude: decimal degrees.
        countries: ISO 3166 alpha-2 or the empty string.
        needs: unit vectors ``[k, d]`` of what is asked for: declared needs of companies, titles of sectors.
        need_owner: ``[k]`` row of the receiver that has the need, ascending.
        need_texts: the ``k`` texts themselves.
        need_terms: ``[k, 3]`` quantity in t/yr, price in EUR/t, hazardous waste taken (1) or not (0); NaN is open.
    """

    ids: list[str]
    names: list[str]
    kinds: list[ReceiverKind]
    nace: Ints
    latitude: Floats
    longitude: Floats
    countries: list[str]
    needs: Vectors
    need_owner: Rows
    need_texts: list[str]
    need_terms: Floats = field(default_factory=lambda: np.zeros((0, 3), dtype=np.float32))

    def __post_init__(self) -> None:
        if len(self.need_terms) != len(self.needs):
            object.__setattr__(self, "need_terms", np.full((len(self.needs), 3), np.nan, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def has_terms(self) -> npt.NDArray[np.bool_]:
        """``[k]`` whether a need names any term."""
        return np.asarray(np.isfinite(self.need_terms).any(axis=1), dtype=bool)

    @cached_property
    def by_kind(self) -> tuple[Rows, Rows]:
        """Rows of the companies, and rows of the sectors."""
        return np.flatnonzero(~self.sector), np.flatnonzero(self.sector)

    @cached_property
    def sector(self) -> npt.NDArray[np.bool_]:
        """``[n]`` whether the receiver is a sector."""
        return np.asarray([kind == "sector" for kind in self.kinds], dtype=bool)


@dataclass(frozen=True, slots=True)
class Precedents:
    """Exchanges that happened; arrays of length ``p``, sorted by receiver.

    Attributes:
        receiver: ``[p]`` row in `Receivers`.
        vectors: ``[p, d]`` unit vectors of the material texts.
        ewc: ``[p, 3]`` chapter, subchapter, code (``10, 1001, 100102``).
        donor_nace: ``[p, 3]`` as in `Receivers`.
        receiver_nace: ``[p, 3]``.
        latitude, longitude: of the donor, decimal degrees.
        texts: material texts.
        references: each as a phrase for people ("Asnaes power station to Gyproc, 1993").
        sources: where each is documented.
    """

    receiver: Rows
    vectors: Vectors
    ewc: Ints
    donor_nace: Ints
    receiver_nace: Ints
    latitude: Floats
    longitude: Floats
    texts: list[str]
    references: list[str]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.receiver)

    def take(self, rows: Rows) -> Precedents:
        """The precedents at ``rows`` (ascending, so that they stay sorted by receiver)."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        kept: dict[str, Any] = {
            name: [values[row] for row in rows] if isinstance(values, list) else values[rows]
            for name, values in columns.items()
        }
        return Precedents(**kept)


@dataclass(frozen=True, eq=False)
class OfferArrays:
    """Offers as columns; length ``q``. Units as in `ism.domain.market`; ``hazard`` is 1 or 0, NaN where not known."""

    vectors: Vectors
    ewc: Ints
    nace: Ints
    latitude: Floats
    longitude: Floats
    quantity: Floats
    price: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    hazard: Floats = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def __post_init__(self) -> None:
        for name in ("price", "hazard"):
            if len(getattr(self, name)) != len(self.vectors):
                object.__setattr__(self, name, np.full(len(self.vectors), np.nan, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def terms(self) -> Floats:
        """``[q, 3]`` quantity, price and hazard, as in `Receivers.need_terms`."""
        return np.stack([self.quantity, self.price, self.hazard], axis=1)

    def content(self) -> tuple[bytes, ...]:
        """All columns by value, to recognise offers again: arrays may be filled anew by their owner."""
        return tuple(getattr(self, column.name).tobytes() for column in fields(self))

    def take(self, rows: Rows) -> OfferArrays:
        """The offers at ``rows``, in that order."""
        return OfferArrays(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


@dataclass(frozen=True, eq=False)
class Market:
    """Receivers and precedents at one generation of the store."""

    receivers: Receivers
    precedents: Precedents
    generation: int = 0

    def keeping(self, rows: Rows) -> Market:
        """The same receivers with only the precedents at ``rows`` (ascending)."""
        return Market(self.receivers, self.precedents.take(rows), self.generation)


def nace_levels(codes: Sequence[str | None]) -> Ints:
    """``[n, 3]`` division, group and class of canonical NACE codes; -1 where the code is coarser or absent."""
    out = np.full((len(codes), 3), -1, dtype=np.int32)
    for row, code in enumerate(codes):
        digits = (code or "").replace(".", "")
        for level, length in enumerate((2, 3, 4)):
            if len(digits) >= length and digits.isdigit():
                out[row, level] = int(digits[:length])
    return out


def ewc_levels(codes: Sequence[str | None]) -> Ints:
    """``[n, 3]`` chapter, subchapter and code of canonical List-of-Waste codes; -1 where coarser or absent."""
    out = np.full((len(codes), 3), -1, dtype=np.int32)
    for row, code in enumerate(codes):
        digits = (code or "").replace(" ", "")
        for level, length in enumerate((2, 4, 6)):
            if len(digits) >= length and digits.isdigit():
                out[row, level] = int(digits[:length])
    return out


def offer_arrays(offers: Sequence[Offer], encoder: TextEncoder) -> OfferArrays:
    """Columns of offers."""
    return OfferArrays(
        vectors=encoder.encode([offer.text for offer in offers]),
        ewc=ewc_levels([offer.ewc for offer in offers]),
        nace=nace_levels([offer.nace for offer in offers]),
        latitude=column([offer.latitude for offer in offers]),
        longitude=column([offer.longitude for offer in offers]),
        quantity=column([offer.quantity_t_per_year for offer in offers]),
        price=column([offer.price_eur_per_t for offer in offers]),
        hazard=column([_hazard(offer) for offer in offers]),
    )


def _hazard(offer: Offer) -> float | None:
    """1 hazardous, 0 not: by the offering company's word, else by the List of Waste; None where neither says."""
    if offer.hazardous is not None:
        return float(offer.hazardous)
    status = ewc.hazard_status(offer.ewc) if offer.ewc is not None else None
    return None if status is None else float(status in {"AH", "MH"})


def distance_km(latitude: Degrees, longitude: Degrees, latitudes: Degrees, longitudes: Degrees) -> Floats:
    """Great-circle distances in km, by broadcasting (haversine; sphere of 6371 km); NaN where a place is unknown."""
    phi1, phi2 = np.radians(latitude), np.radians(latitudes)
    turn = np.radians(longitudes) - np.radians(longitude)
    chord = np.square(np.sin((phi2 - phi1) / 2)) + np.cos(phi1) * np.cos(phi2) * np.square(np.sin(turn / 2))
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1))), dtype=np.float32)


def column(values: Sequence[float | None]) -> Floats:
    """Numbers as an array, NaN where one is unknown."""
    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float32)


_SAMPLE = 2048


def top_of_kinds(receivers: Receivers, values: Floats, count: int) -> Rows:
    """Rows of the ``count`` companies and of the ``count`` sectors with the largest of ``[n]`` values, ascending."""
    return np.unique(np.concatenate([rows[top_rows(values[rows], count)] for rows in receivers.by_kind]))


def top_rows(values: Floats, count: int) -> Rows:
    """Rows of the ``count`` largest values, in no particular order; all rows where there are no more.

    In a long array a sample first tells a bound that the largest surely exceed, so that only those above it are
    compared.
    """
    rows = np.arange(len(values), dtype=np.intp)
    if count <= 0:
        return rows[:0]
    if len(values) > 8 * _SAMPLE:
        sample = np.sort(values[:: len(values) // _SAMPLE])
        bound = sample[max(0, len(sample) - 2 - 3 * count * len(sample) // len(values))]
        above = np.flatnonzero(values > bound)
        if len(above) < count:  # many are equal, say all those that nobody voted for
            above = np.concatenate([above, np.flatnonzero(values == bound)[: count - len(above)]])
        rows = above if len(above) >= count else rows
    if len(rows) <= count:
        return rows
    return rows[np.argpartition(values[rows], len(rows) - count)[len(rows) - count :]]
