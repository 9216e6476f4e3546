"""What a store promises to the connector of a marketplace; part of `ism.storage.Store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ism.domain.market import Recommendation

if TYPE_CHECKING:
    from ism.storage.base import T

Place = tuple[datetime, str]  # of a request in the order of time: when it was answered, and its identifier


class MarketplaceStore(ABC):
    """Rows of a dataset by identifier, what is not answered yet, what was shown; the promises of `Store` hold too."""

    @abstractmethod
    def find(self, kind: type[T], identifiers: Collection[str], dataset: str) -> dict[str, T]:
        """Those of some values that are stored in a dataset, by identifier."""

    @abstractmethod
    def discard(self, kind: type[T], identifiers: Collection[str], dataset: str) -> int:
        """Remove values of a dataset, as far as they are stored, in one transaction; how many there were.

        A company takes its listings with it; one that exchanges name stays, since they are evidence about others too.
        """

    @abstractmethod
    def unanswered(self, dataset: str, since: datetime, after: Place | None = None, limit: int = 100) -> list[Place]:
        """Offers of a dataset that no request was logged for since they were last written, nor since a time.

        Args:
            dataset: whose offers.
            since: requests before it do not count.
            after: only offers behind this place.
            limit: most offers to return.

        Returns:
            When each was last written, and its identifier, in this order.
        """

    @abstractmethod
    def shown(self, dataset: str, after: Place, limit: int = 100) -> list[list[Recommendation]]:
        """Up to ``limit`` requests for listed offers of a dataset that come behind a place in time, in this order.

        Each with its recommendations by rank. A request that is being logged has its time already: whoever reads on
        from a place should look back a while.
        """

    @abstractmethod
    def marketplace_state(self) -> dict[str, Any]:
        """How far the connector is; empty where it never ran."""

    @abstractmethod
    def move_marketplace(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Replace the state; ConflictError where it is not as it was ``before``: another process moves it."""
