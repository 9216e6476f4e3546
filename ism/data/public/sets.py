"""Which public data set a file or folder is, and how to read it into a store."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ism.data.imports.limits import Limits
from ism.data.public import calrecycle, list_of_waste, maestri, tri
from ism.domain.errors import InvalidInputError
from ism.domain.market import Company, Exchange


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A recognised data set; each call reads it anew."""

    name: str
    companies: Callable[[], Iterator[Company]]
    exchanges: Callable[[], Iterator[Exchange]]


def detect(source: Path | bytes, limits: Limits) -> PublicSet | None:
    """The public set that a file or folder holds; ``None`` where it is none.

    MAESTRI is known by its sheet and header, TRI and CalRecycle by their folder or by the header of their main file.

    Raises:
        InvalidInputError: it is the List of Waste, which has nothing to import, or a workbook that must not be opened.
    """
    if isinstance(source, Path) and source.name == Path(list_of_waste.FILE).name:
        remedy = "The List of Waste comes with this package. Import companies, listings or exchanges."
        raise InvalidInputError("file", source.name, remedy)
    return next((found for look in (_maestri, _tri, _calrecycle) if (found := look(source, limits))), None)


def _maestri(source: Path | bytes, limits: Limits) -> PublicSet | None:
    if not maestri.is_maestri(source, limits):
        return None
    return PublicSet(
        maestri.ATTRIBUTION, partial(maestri.companies, source, limits), partial(maestri.exchanges, source, limits)
    )


def _tri(source: Path | bytes, limits: Limits) -> PublicSet | None:
    folder = _folder(source, Path(tri.TRANSFERS_FILE), "REPORTING YEAR,SENDER FRS ID")
    return PublicSet(tri.SOURCE, partial(tri.companies, folder), partial(tri.exchanges, folder)) if folder else None


def _calrecycle(source: Path | bytes, limits: Limits) -> PublicSet | None:
    main = Path(calrecycle.FOLDER) / f"manifests_{calrecycle.YEARS[0]}.csv.gz"
    folder = _folder(source, main, "GEN_EPA_ID,TSDF_EPA_ID,CAT_CODE")
    if folder is None:
        return None
    named = re.search(r"manifests_([0-9]{4})", source.name) if isinstance(source, Path) else None
    years = (int(named[1]),) if named else calrecycle.YEARS
    return PublicSet(
        calrecycle.SOURCE, partial(calrecycle.companies, folder, years), partial(calrecycle.exchanges, folder, years)
    )


def _folder(source: Path | bytes, main: Path, header: str) -> Path | None:
    """The folder of the public sets, where ``source`` is the subfolder of ``main``, or a file with that header."""
    if isinstance(source, bytes):
        return None
    if source.is_dir():
        return source.resolve().parent if (source / main.name).is_file() else None
    if not source.name.endswith(".csv.gz"):
        return None
    try:
        with gzip.open(source, "rb") as file:
            return source.resolve().parent.parent if file.read(len(header)) == header.encode() else None
    except (OSError, EOFError):
        return None
