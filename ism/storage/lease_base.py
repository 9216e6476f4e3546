"""What a store promises about leases: things that only one process may do at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a lease, as the database knows it.

    Attributes:
        name: of what only one may do.
        holder: who does it; empty where nobody does.
        fence: grows with every change of the holder, so that writes of an earlier one can be refused (M. Kleppmann,
            "Designing Data-Intensive Applications", 2017, chapter 8: fencing tokens).
        since: when this holder took it, UTC.
    """

    name: str
    holder: str
    fence: int
    since: datetime


class LeaseStore(ABC):
    """Leases with an expiry and a fencing token.

    Promises:
        One holder: at most one lease of a name has not expired; time is the database's, so that clocks of machines do
            not matter.
        Fence: within `fenced`, a write of this thread is committed before another process can take the lease, or not
            at all. Prolonging a lease never waits for such writes.
    """

    @abstractmethod
    def take(self, name: str, holder: str, seconds: float) -> Lease:
        """Take a free or expired lease, or prolong one's own, for so many seconds; tells who holds it now."""

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Let the next one take it at once; does nothing where another took it already."""

    @abstractmethod
    def holder(self, name: str) -> Lease | None:
        """Who holds a lease; None where it is free or expired."""

    @abstractmethod
    def fenced(self, lease: Lease) -> AbstractContextManager[None]:
        """Within it, writes of this thread happen only while nobody else took the lease; else LeadLostError."""
