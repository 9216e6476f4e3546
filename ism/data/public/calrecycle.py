"""CalRecycle: California hazardous-waste manifests 2007 to 2010 (State of California public records).

Each line is a shipment from a generator to a treatment, storage or disposal facility, without its date.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from ism.data.public import required_file
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Exchange

SOURCE = "California hazardous-waste manifests (CalRecycle)"
FOLDER = "calrecycle"
YEARS = (2007, 2008, 2009, 2010)

MANIFESTS_SCHEMA = {
    "year": pl.Int32,
    "generator": pl.String,
    "waste_code": pl.String,
    "waste_text": pl.String,
    "generator_naics": pl.String,
    "generator_latitude": pl.Float64,
    "generator_longitude": pl.Float64,
    "receiver": pl.String,
    "receiver_latitude": pl.Float64,
    "receiver_longitude": pl.Float64,
    "_label_method": pl.String,
    "_label_tonnes": pl.Float64,
}

# Only units of mass become tonnes; gallons, litres and cubic yards would need a density that nobody recorded.
_TONNES = {"P": 0.00045359237, "T": 0.90718474, "K": 0.001, "M": 1.0}
_LATITUDES, _LONGITUDES = (17.0, 72.0), (-180.0, -60.0)  # the United States with Puerto Rico; outside, a geocode failed


def manifests(folder: Path, year: int) -> pl.DataFrame:
    """Shipments of one year, in file order (`MANIFESTS_SCHEMA`).

    Lines without a generator or receiver, and shipments to oneself, are left out. Columns whose names start with
    ``_label_`` tell the outcome and are never an input.

    Args:
        folder: the folder of the public sets.
        year: one of `YEARS`.
    """
    if year not in YEARS:
        raise InvalidInputError("year", year, f"Manifests exist for {YEARS[0]} to {YEARS[-1]}.")
    lines = _table(folder, f"manifests_{year}.csv.gz").select(
        pl.lit(year, pl.Int32).alias("year"),
        pl.col("GEN_EPA_ID").alias("generator"),
        pl.col("CAT_CODE").str.strip_chars().alias("waste_code"),
        pl.col("TSDF_EPA_ID").alias("receiver"),
        pl.col("METH_CODE").alias("_label_method"),
        (
            pl.col("QUANTITY").cast(pl.Float64, strict=False)
            * pl.col("UNITS").replace_strict(_TONNES, default=None, return_dtype=pl.Float64)
        ).alias("_label_tonnes"),
    )
    kept = lines.drop_nulls(["generator", "receiver"]).filter(pl.col("generator") != pl.col("receiver"))
    for join in (
        _waste_texts(folder),
        _naics(folder),
        _coordinates(folder, "generator"),
        _coordinates(folder, "receiver"),
    ):
        kept = kept.join(join, on=join.columns[0], how="left", maintain_order="left")
    return kept.select(pl.col(name).cast(dtype) for name, dtype in MANIFESTS_SCHEMA.items())


def companies(folder: Path, years: Sequence[int] = YEARS) -> Iterator[Company]:
    """Every generator and receiver of those years; manifests carry identifiers, not names."""
    naics, seen = dict(_naics(folder).iter_rows()), set()
    for year in years:
        for row in manifests(folder, year).iter_rows(named=True):
            for side in ("generator", "receiver"):
                if row[side] not in seen:
                    seen.add(row[side])
                    yield Company(
                        company_id=f"epa:{row[side]}",
                        name=f"Facility {row[side]}",
                        country="US",
                        latitude=row[f"{side}_latitude"],
                        longitude=row[f"{side}_longitude"],
                        description=f"NAICS {naics[row[side]]}" if naics.get(row[side]) else "",
                        source=SOURCE,
                    )


def exchanges(folder: Path, years: Sequence[int] = YEARS) -> Iterator[Exchange]:
    """One exchange for each (year, generator, waste, receiver); its quantity is the sum where every line is a mass."""
    for year in years:
        shipments = manifests(folder, year)
        keys = ["generator", "waste_code", "waste_text", "receiver"]
        tonnes = pl.when(pl.col("_label_tonnes").is_null().any()).then(None).otherwise(pl.col("_label_tonnes").sum())
        for row in shipments.group_by(keys, maintain_order=True).agg(tonnes.alias("tonnes")).iter_rows(named=True):
            code = row["waste_code"] or "unknown"
            yield Exchange(
                exchange_id=f"calrecycle:{year}:{row['generator']}:{code}:{row['receiver']}",
                from_company=f"epa:{row['generator']}",
                to_company=f"epa:{row['receiver']}",
                material=row["waste_text"] or f"California waste code {code}",
                quantity_t_per_year=row["tonnes"],
                year_start=year,
                source=f"{SOURCE}, {year}",
            )


def _table(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(required_file(folder / FOLDER / name), infer_schema=False)


def _waste_texts(folder: Path) -> pl.DataFrame:
    return _table(folder, "waste_codes.csv").select(
        waste_code=pl.col("CAT_CODE").str.strip_chars(), waste_text=pl.col("CAT_DESC").str.strip_chars()
    )


def _naics(folder: Path) -> pl.DataFrame:
    table = _table(folder, "generator_naics.csv.gz").select(generator="GEN_EPA_ID", generator_naics="NAICS_CODE")
    return table.drop_nulls("generator").unique("generator", keep="first", maintain_order=True)


def _coordinates(folder: Path, side: str) -> pl.DataFrame:
    table = _table(folder, "facility_coordinates.csv.gz").select(
        pl.col("GEN_EPA_ID").alias(side),
        pl.col("POINT_Y").cast(pl.Float64, strict=False).alias(f"{side}_latitude"),
        pl.col("POINT_X").cast(pl.Float64, strict=False).alias(f"{side}_longitude"),
    )
    placed = table.filter(
        pl.col(f"{side}_latitude").is_between(*_LATITUDES) & pl.col(f"{side}_longitude").is_between(*_LONGITUDES)
    )
    return placed.drop_nulls(side).unique(side, keep="first", maintain_order=True)
