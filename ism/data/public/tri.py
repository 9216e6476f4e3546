"""TRI 1987: off-site waste transfers between US facilities (US EPA, EoL4Chem), joined with facility names and NAICS.

Transfers name facilities by their FRS number, facility tables by their TRI number. Receivers often carry both;
everything else is joined by coordinates rounded to five decimals (about a metre), and only where that place has a
single facility.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ism.data.public import required_file
from ism.domain.market import Company, Exchange

SOURCE = "US EPA Toxics Release Inventory 1987 (EoL4Chem)"
RECOVERY = "recovery|recycling|reuse"  # what the treatments of the recovery-only subset are called

TRANSFERS_SCHEMA = {
    "sender": pl.String,
    "chemical": pl.String,
    "sender_latitude": pl.Float64,
    "sender_longitude": pl.Float64,
    "sender_state": pl.String,
    "sender_naics": pl.String,
    "receiver": pl.String,
    "receiver_latitude": pl.Float64,
    "receiver_longitude": pl.Float64,
    "receiver_state": pl.String,
    "_label_treatment": pl.String,
    "_label_kg": pl.Float64,
    "_label_recovery": pl.Boolean,
}

TRANSFERS_FILE = "tri_1987/offsite_transfers.csv.gz"
CHEMICALS_FILE = "tri_1987/chemicals.csv.gz"
FACILITY_FILES = ("facilities/TRI_1990.csv.gz", "facilities/TRI_1988.csv.gz")  # the later table wins

_DECIMALS = 5
_NAMES = {
    "SENDER FRS ID": "sender",
    "SENDER LATITUDE": "sender_latitude",
    "SENDER LONGITUDE": "sender_longitude",
    "SENDER STATE": "sender_state",
    "RECEIVER FRS ID": "receiver",
    "RECEIVER TRIFID": "receiver_trifid",
    "RECEIVER LATITUDE": "receiver_latitude",
    "RECEIVER LONGITUDE": "receiver_longitude",
    "RECEIVER STATE": "receiver_state",
    "SRS INTERNAL TRACKING NUMBER": "substance",
    "FOR WHAT IS TRANSFERRED": "_label_treatment",
    "QUANTITY TRANSFERRED": "_label_kg",
}


class _Facilities:
    """Names and NAICS of facilities, by TRI number or by place."""

    def __init__(self, folder: Path) -> None:
        frame = pl.concat(
            [pl.read_csv(required_file(folder / name), infer_schema=False) for name in FACILITY_FILES]
        ).unique("FacilityID", keep="first", maintain_order=True)
        self._by_id: dict[str, dict[str, str]] = {}
        self._by_place: dict[tuple[float, float], dict[str, str] | None] = {}
        for row in frame.iter_rows(named=True):
            place = _place(float(row["Latitude"]), float(row["Longitude"]))
            self._by_id[row["FacilityID"]] = row
            self._by_place[place] = (
                None if place in self._by_place else row
            )  # two at one place: neither is meant for sure

    def find(self, latitude: float, longitude: float, trifid: str | None = None) -> dict[str, str] | None:
        """The facility with that number, else the only one at that place."""
        return self._by_id.get(trifid or "") or self._by_place.get(_place(latitude, longitude))


def transfers(folder: Path) -> pl.DataFrame:
    """Transfers for generator-to-treater matching, in file order, without transfers to oneself (`TRANSFERS_SCHEMA`).

    Columns whose names start with ``_label_`` tell the outcome: they slice a report and are never an input.

    Args:
        folder: the folder of the public sets.
    """
    raw, facilities = _raw(folder), _Facilities(folder)
    senders = raw.unique("sender", keep="first", maintain_order=True)
    found = [facilities.find(*place) for place in senders.select("sender_latitude", "sender_longitude").iter_rows()]
    naics = pl.DataFrame(
        {"sender": senders["sender"], "sender_naics": [row["NAICS"] if row else None for row in found]}
    )
    return (
        raw.filter(pl.col("sender") != pl.col("receiver"))
        .join(naics, on="sender", how="left", maintain_order="left")
        .with_columns(pl.col("_label_treatment").str.contains(f"(?i){RECOVERY}").alias("_label_recovery"))
        .select(pl.col(name).cast(dtype) for name, dtype in TRANSFERS_SCHEMA.items())
    )


def companies(folder: Path) -> Iterator[Company]:
    """Every facility that sends or receives; NAICS stands in the description, since no table leads to NACE."""
    raw, facilities = _raw(folder), _Facilities(folder)
    sides = [
        raw.select(
            pl.col(side).alias("frs"),
            (pl.col("receiver_trifid") if side == "receiver" else pl.lit(None, pl.String)).alias("trifid"),
            pl.col(f"{side}_latitude").alias("latitude"),
            pl.col(f"{side}_longitude").alias("longitude"),
        )
        for side in ("receiver", "sender")
    ]
    both = pl.concat(sides).sort("trifid", nulls_last=True, maintain_order=True)  # so that a known number is kept below
    for row in both.unique("frs", keep="first", maintain_order=True).iter_rows(named=True):
        facility = facilities.find(row["latitude"], row["longitude"], row["trifid"])
        yield Company(
            company_id=f"frs:{row['frs']}",
            name=facility["FacilityName"].strip() if facility else f"Facility {row['frs']}",
            country="US",
            latitude=row["latitude"],
            longitude=row["longitude"],
            description=f"NAICS {facility['NAICS']}" if facility else "",
            source=SOURCE,
        )


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Each reported transfer as a precedent of 1987, transfers to oneself left out."""
    for number, row in enumerate(_raw(folder).iter_rows(named=True), start=2):
        if row["sender"] != row["receiver"]:
            yield Exchange(
                exchange_id=f"tri1987:{number}",
                from_company=f"frs:{row['sender']}",
                to_company=f"frs:{row['receiver']}",
                material=row["chemical"],
                quantity_t_per_year=row["_label_kg"] / 1000,
                year_start=1987,
                receiver_use=row["_label_treatment"],
                source=f"{SOURCE}, line {number}",
            )


def _raw(folder: Path) -> pl.DataFrame:
    lines = pl.read_csv(required_file(folder / TRANSFERS_FILE), infer_schema=False).select(list(_NAMES)).rename(_NAMES)
    names = pl.read_csv(required_file(folder / CHEMICALS_FILE), infer_schema=False).select(
        substance="Internal Tracking Number", chemical="Substance Name"
    )
    numbers = ("sender_latitude", "sender_longitude", "receiver_latitude", "receiver_longitude", "_label_kg")
    return lines.join(names, on="substance", how="left", maintain_order="left").with_columns(
        pl.col(numbers).cast(pl.Float64), pl.coalesce("chemical", "substance").alias("chemical")
    )


def _place(latitude: float, longitude: float) -> tuple[float, float]:
    return round(latitude, _DECIMALS), round(longitude, _DECIMALS)
