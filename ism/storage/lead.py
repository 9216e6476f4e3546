"""Who leads among the processes that share a store: the leader does in the background what must happen once."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ism.domain.background import Background
from ism.domain.errors import IsmError
from ism.storage.lease_base import Lease, LeaseStore

NAME = "background"
_LOOKS = 4  # times that a lease is prolonged while it lasts
_LEAST_S = 0.05
_log = logging.getLogger("ism.lead")


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads.

    Attributes:
        replica: the process that leads; empty where none is known to.
        here: whether it is this one.
        since: when it took over, UTC; None where nothing is elected.
    """

    replica: str
    here: bool
    since: datetime | None = None


class Leadership(Protocol):
    """What a part that works in the background asks before each turn."""

    @property
    def leads(self) -> bool:
        """Whether this process leads at this moment."""
        ...

    def term(self) -> AbstractContextManager[bool]:
        """Within it, writes of this thread are refused once another process leads; gives whether this one leads."""
        ...


class SoleLead:
    """Leads always: no other process can have the store, or whoever works was told to by hand."""

    @property
    def leads(self) -> bool:
        """Always."""
        return True

    @contextmanager
    def term(self) -> Iterator[bool]:
        """Always."""
        yield True

    def leader(self) -> Leader:
        """This process."""
        return Leader(_process(), True)


SOLE = SoleLead()


def _process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Lead:
    """Stands for election among all processes of a store, from `start` to `stop`; before, it leads like `SoleLead`.

    The lease is prolonged four times while it lasts. A process that cannot prolong it, such as where the database is
    gone, stops leading when the lease ends by its own clock, measured from before the last question: never later than
    the database lets another one lead. After a crash another one leads at most ``lease_s`` and a quarter later.

    Threads: any may ask; what follows a change runs in the thread of the election.

    Args:
        leases: of the store.
        lease_s: how long a lease lasts, in seconds.
        replica: names this process; host, process and four random digits by default.
        changed: called when this process begins or ceases to lead.
    """

    def __init__(
        self,
        leases: LeaseStore,
        lease_s: float,
        replica: str | None = None,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._leases, self._lease_s, self.changed = leases, lease_s, changed
        self.replica = replica or f"{_process()}-{secrets.token_hex(2)}"
        self._seen: Lease | None = None
        self._mine_until = 0.0  # of the monotonic clock
        self._told = False
        self._background = Background(self._run, "lead")

    @property
    def leads(self) -> bool:
        """Whether this process leads at this moment."""
        return not self._background.begun or time.monotonic() < self._mine_until

    @contextmanager
    def term(self) -> Iterator[bool]:
        """Within it, writes of this thread are refused once another process leads; gives whether this one leads."""
        lease = self._seen
        if not self.leads:
            yield False
        elif lease is None or lease.holder != self.replica:  # not elected: whoever works was told to by hand
            yield True
        else:
            with self._leases.fenced(lease):
                yield True

    def leader(self) -> Leader:
        """Who leads, as far as this process knows."""
        lease = self._seen
        if self.leads:
            return Leader(self.replica, True, lease.since if lease else None)
        if lease is None or lease.holder == self.replica:
            return Leader("", False)
        return Leader(lease.holder, False, lease.since)

    def start(self) -> None:
        """Stand for election until `stop`; does nothing when it has begun."""
        self._background.start()

    def stop(self, wait_s: float = 2.0) -> None:
        """Let another one lead at once; waits so long for the database."""
        self._background.over.set()
        self._mine_until = 0.0
        self._background.stop(wait_s)

    def look(self) -> None:
        """Take or prolong the lease once; errors as the store raises them."""
        asked = time.monotonic()
        lease = self._leases.take(NAME, self.replica, self._lease_s)
        self._seen = lease
        if lease.holder == self.replica and not self._background.over.is_set():
            self._mine_until = asked + self._lease_s
        else:
            self._mine_until = 0.0

    def _run(self) -> None:
        pause, failing = max(self._lease_s / _LOOKS, _LEAST_S), False
        while not self._background.over.is_set():
            try:
                self.look()
                failing = False
            except IsmError as error:
                if not failing:
                    _log.warning("It cannot be told who leads: %s", error)
                failing = True
            except Exception:  # noqa: BLE001 - whoever stands for election must go on standing
                _log.exception("It cannot be told who leads.")
            self._tell()
            self._background.over.wait(pause)
        seen = self._seen
        if seen is not None and seen.holder == self.replica:
            with suppress(IsmError):  # it expires by itself
                self._leases.release(seen)

    def _tell(self) -> None:
        leads = self.leads
        if leads != self._told:
            self._told = leads
            _log.info("%s %s.", self.replica, "leads" if leads else "does not lead any more")
            self.changed()
