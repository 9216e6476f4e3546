"""Where the published classification tables lie, and what the parsers share."""

import csv
import importlib.util
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ism.domain.errors import ConfigurationError

_PACKAGE, _DISTRIBUTION = "classifications", "bonsai-classifications"


def activity_rows(name: str) -> list[dict[str, str]]:
    """Rows of one table of economic activities (``tree_nace_rev2``) as published by bonsai-classifications."""
    path = _activity_folder() / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_text(value: object) -> str:
    """What a person or a spreadsheet cell holds, as one trimmed line; integral floats lose their ``.0``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).split())


def nearest(number: int, known: Sequence[int], count: int = 3) -> list[int]:
    """The ``count`` members of ascending ``known`` closest to ``number``, closest first (ties: smaller first)."""
    place = bisect_left(known, number)
    around = known[max(0, place - count) : place + count]
    return sorted(around, key=lambda candidate: (abs(candidate - number), candidate))[:count]


@cache
def _activity_folder() -> Path:
    # The package itself imports pandas; only its tables are wanted, so it is located without being imported.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"The package {_DISTRIBUTION} is not installed. Run: pip install {_DISTRIBUTION}")
    return Path(spec.submodule_search_locations[0]) / "data" / "flow" / "activitytype"
