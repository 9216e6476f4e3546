"""The contract of an engine.

Promises that `ism.testing.engine_checks` holds every engine to:

- *Deterministic*: the same snapshot, parameters and seed give the same scores, on any number of threads.
- *Pure*: `score` and `explain` change nothing and are safe to call from several threads after `fit` or `load`.
- *Total*: scores are finite and in 0..1 for every offer and receiver, also those never seen, also in an empty market.
- *Faithful*: a loaded engine scores exactly as the saved one did; files are JSON, parquet, safetensors or LightGBM
  text, never pickle.
- *Honest*: the reasons are what moved the score, strongest first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats, Ints, Market, OfferArrays, Rows
from ism.domain.engine import Reason

ParamValue = float | int | str | bool


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter, its default, and where a search may look.

    Attributes:
        low, high: bounds of a number, inclusive.
        log: whether the search is in the logarithm.
        choices: values of a categorical parameter, instead of bounds.
        unit: what the number counts.
    """

    default: ParamValue
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[ParamValue, ...] = ()
    unit: str = "1"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an engine learns from.

    Attributes:
        market: receivers and precedents.
        groups: ``[p]`` group of each precedent; cases of one group must not teach the engine about each other.
        times: ``[p]`` when each was known, seconds since 1970 (UTC), NaN where not known; None where nothing is.
    """

    market: Market
    groups: Ints
    times: npt.NDArray[np.float64] | None = None


class Engine(ABC):
    """Scores offers against receivers."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        """Learn from the snapshot's precedents.

        Args:
            snapshot: what happened so far; may be empty.
            params: values for names in `search_space`; defaults for the rest.
            seed: of everything random.

        Raises:
            InvalidInputError: a parameter is unknown or out of bounds.
        """

    @abstractmethod
    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
        """How well each receiver fits each offer.

        Args:
            market: whose receivers are scored; may be newer than what the engine was fitted on.
            offers: ``q`` offers.
            rows: rows of receivers, all by default.

        Returns:
            ``[q, n]`` float32 in 0..1, larger is better.
        """

    @abstractmethod
    def explain(self, market: Market, offers: OfferArrays, offer: int, row: int) -> list[Reason]:
        """Why offer number ``offer`` got its score with the receiver at ``row``, strongest reason first."""

    def explain_all(self, market: Market, offers: OfferArrays, offer: int, rows: Rows) -> list[list[Reason]]:
        """`explain` for several receivers; an engine that does them quicker together overrides it."""
        return [self.explain(market, offers, offer, row) for row in rows.tolist()]

    def propose(self, market: Market, offers: OfferArrays, count: int) -> Rows:
        """Receivers worth scoring for one offer, found without scoring all of them; may be empty.

        Args:
            market: whose receivers are proposed.
            offers: a single offer.
            count: proposals a criterion, not in all.

        Returns:
            distinct rows in any order.
        """
        return np.zeros(0, dtype=np.intp)

    def summary(self) -> str:
        """What a person should know of its training, such as a privacy guarantee; empty where there is nothing."""
        return ""

    @classmethod
    @abstractmethod
    def search_space(cls) -> dict[str, Param]:
        """Parameters by name."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted state to an empty or new folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Engine:
        """Read what `save` wrote.

        Raises:
            EngineError: a file is missing, damaged or of another version.
        """
