"""Markets of shipments between facilities: what protocols B and C share.

Frames have the columns of `COLUMNS`. NAICS codes take the place of the donor's NACE (three, four and six digits
instead of two, three and four): the engines compare donors with donors only, so that any classification will do, and
no code of one equals a code of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bench.baselines import Asked
from ism.data.market import Floats, Ints, Market, OfferArrays, Precedents, Receivers, Rows
from ism.data.text import TextEncoder
from ism.engines.base import Snapshot

COLUMNS = (
    "donor",
    "material",
    "donor_latitude",
    "donor_longitude",
    "donor_naics",
    "receiver",
    "receiver_latitude",
    "receiver_longitude",
)
_NAICS_DIGITS = (3, 4, 6)


@dataclass(frozen=True)
class Training:
    """A market of shipments.

    Attributes:
        snapshot: receivers, their precedents, and as groups the donors.
        row_of: receiver -> row.
    """

    snapshot: Snapshot
    row_of: dict[str, int]


def training(shipments: pl.DataFrame, encoder: TextEncoder) -> Training:
    """Candidates are the receivers of the shipments; one precedent for each distinct (donor, material, receiver)."""
    homes = shipments.unique("receiver", keep="first", maintain_order=True).sort("receiver")
    names = homes["receiver"].to_list()
    row_of = {name: row for row, name in enumerate(names)}
    distinct = shipments.unique(["donor", "material", "receiver"], keep="first", maintain_order=True)
    past = distinct.sort("receiver", maintain_order=True)
    offers = offer_columns(past, encoder)
    receivers = Receivers(
        ids=names,
        names=names,
        kinds=["company"] * len(names),
        nace=_no_codes(len(names)),
        latitude=_floats(homes["receiver_latitude"]),
        longitude=_floats(homes["receiver_longitude"]),
        countries=["US"] * len(names),
        needs=np.zeros((0, encoder.dimension), dtype=np.float32),
        need_owner=np.zeros(0, dtype=np.intp),
        need_texts=[],
    )
    precedents = Precedents(
        receiver=np.asarray([row_of[name] for name in past["receiver"]], dtype=np.intp),
        vectors=offers.vectors,
        ewc=offers.ewc,
        donor_nace=offers.nace,
        receiver_nace=_no_codes(len(past)),
        latitude=offers.latitude,
        longitude=offers.longitude,
        texts=past["material"].to_list(),
        references=[""] * len(past),
        sources=[""] * len(past),
    )
    donors = past["donor"].to_list()
    number = {donor: place for place, donor in enumerate(sorted(set(donors)))}
    groups = np.asarray([number[donor] for donor in donors], dtype=np.int32)
    return Training(Snapshot(Market(receivers, precedents), groups), row_of)


def questions(shipments: pl.DataFrame) -> pl.DataFrame:
    """One row for each distinct (donor, material), in file order; ``receivers`` lists who took it."""
    told = [name for name in COLUMNS if name.startswith("donor_")]
    return shipments.group_by(["donor", "material"], maintain_order=True).agg(
        *[pl.col(name).first() for name in told], pl.col("receiver").unique().sort().alias("receivers")
    )


def asked(frame: pl.DataFrame, encoder: TextEncoder) -> Asked:
    """The questions as offers."""
    return Asked(offer_columns(frame, encoder), frame["material"].to_list())


def candidate_rows(row_of: dict[str, int], names: Sequence[str]) -> Rows:
    """Rows of those of the named receivers that are candidates."""
    return np.asarray(sorted(row_of[name] for name in names if name in row_of), dtype=np.intp)


def offer_columns(frame: pl.DataFrame, encoder: TextEncoder) -> OfferArrays:
    """Columns of what was offered."""
    return OfferArrays(
        vectors=encoder.encode(frame["material"].to_list()),
        ewc=_no_codes(len(frame)),
        nace=naics_levels(frame["donor_naics"].to_list()),
        latitude=_floats(frame["donor_latitude"]),
        longitude=_floats(frame["donor_longitude"]),
        quantity=np.full(len(frame), np.nan, dtype=np.float32),
    )


def naics_levels(codes: Sequence[str | None]) -> Ints:
    """``[n, 3]`` first three, four and six digits; -1 where the code is coarser, absent or no number."""
    out = _no_codes(len(codes))
    for row, code in enumerate(codes):
        digits = (code or "").strip()
        for level, length in enumerate(_NAICS_DIGITS):
            if len(digits) >= length and digits.isdecimal():
                out[row, level] = int(digits[:length])
    return out


def _no_codes(count: int) -> Ints:
    return np.full((count, 3), -1, dtype=np.int32)


def _floats(values: pl.Series) -> Floats:
    return values.cast(pl.Float32).fill_null(np.nan).to_numpy()
