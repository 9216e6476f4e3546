"""What every store promises; `ism.testing.store_checks` tests a store against it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, get_args

from ism.domain.market import Company, Exchange, Listing, Recommendation
from ism.storage.audit_base import AuditStore
from ism.storage.config_base import ConfigStore
from ism.storage.feedback import FeedbackStore
from ism.storage.fusion_base import FusionStore
from ism.storage.lease_base import LeaseStore
from ism.storage.marketplace_base import MarketplaceStore
from ism.storage.monitoring_base import MonitoringStore
from ism.storage.retraining_base import RetrainingStore

if TYPE_CHECKING:
    from ism.storage.dump import Dump
    from ism.storage.judgement import Judgements

MarketValue: TypeAlias = Company | Listing | Exchange
T = TypeVar("T", bound=MarketValue)
Columns: TypeAlias = dict[str, list[object]]
Role = Literal["viewer", "operator", "admin", "service"]

DEFAULT_DATASET = "market"
SYSTEM = "system"  # who acts where no person or key does
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some values in order of identifier; ``after`` continues behind them and is None on the last page."""

    items: list[T]
    after: str | None


@dataclass(frozen=True, slots=True)
class BulkResult:
    """How many values of a bulk write were new and how many replaced a stored one; the sum is what was handed in."""

    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A caller's key. Only its hash is kept; ``key_id`` is the public part by which it is found."""

    key_id: str
    name: str
    role: Role
    key_hash: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session of the web page.

    Attributes:
        digest: SHA-256 of its cookie, hexadecimal; the cookie itself is kept nowhere.
        name: whose it is.
        role: what they may do.
        key_id: the key that opened it; None for the sign-in link.
        began_at: UTC.
        seen_at: UTC; when it was last used, to the minute.
    """

    digest: str
    name: str
    role: Role
    key_id: str | None
    began_at: datetime
    seen_at: datetime


class MarketReader(ABC):
    """The market at one moment, streamed; valid until its ``with`` block ends, and for one thread.

    Promises: everything it yields belongs to `generation`, whatever is written meanwhile; rows come in order of
    identifier, in bounded memory. A dataset may refer to companies of another one: they are yielded only when their
    dataset was asked for too.
    """

    @property
    @abstractmethod
    def generation(self) -> int:
        """The generation that is read."""

    @abstractmethod
    def rows(self, kind: type[T]) -> Iterator[T]:
        """Every value of one kind."""

    @abstractmethod
    def columns(self, kind: type[MarketValue], size: int = 10_000) -> Iterator[Columns]:
        """The same as column lists, named like the fields of ``kind``, up to ``size`` rows at a time.

        ``polars.DataFrame`` takes them as they are.
        """


class Store(FusionStore, ABC):
    """Everything that must survive a restart.

    Promises:
        Threads: every method may be called from any thread at any time. Market writes happen one after another. Reads
            never wait for a write, and see only what was committed.
        Processes: a store in a data folder belongs to one process, a store on a database server to any number.
        Atomicity: a call happens as a whole or not at all, and is on disk when it returns. A write that fails, also in
            the middle of a bulk write, leaves neither a row nor a new generation.
        Freshness: a read that starts after a write returned sees it, from whichever thread.
        Ordering: identifiers are ordered by code point, on every database.
        Ownership: what goes in and comes out are values. Changing a dict or list afterwards changes nothing that is
            stored.
        Generation: grows with every write to companies, listings or exchanges, in the same transaction; never
            otherwise.
        Datasets: each market row carries the name of the set that it came with. A row never changes its dataset.
        Values: numbers are finite and in range, texts hold no NUL, times are aware and come back in UTC.

    Raises:
        InvalidInputError: a value cannot be stored; names the field.
        NotFoundError: the identifier is not stored.
        ConflictError: the write contradicts what is stored.
        StorageError: the database is closed, unreachable, busy or damaged; any method may raise it. StorageFullError
            when there is no room left to write: reading goes on.
    """

    # --- the market ---

    @abstractmethod
    def get(self, kind: type[T], identifier: str) -> T:
        """One company, listing or exchange; NotFoundError when there is none."""

    @abstractmethod
    def page(
        self, kind: type[T], *, after: str | None = None, limit: int = 100, where: Mapping[str, object] | None = None
    ) -> Page[T]:
        """Up to ``limit`` (1 to 1,000) values whose identifier is greater than ``after``.

        Rows written between two pages may be missed or seen; rows that stay are seen exactly once.

        Args:
            kind: `Company`, `Listing` or `Exchange`.
            after: cursor, as the page before gave it.
            limit: most values to return.
            where: equality filters. Companies: ``country``, ``nace``; listings: ``kind``, ``company_id``, ``ewc``;
                exchanges: ``company_id`` (either side), ``from_company``, ``to_company``, ``ewc``, ``status``; all of
                    them: ``dataset``.
        """

    @abstractmethod
    def count(self, kind: type[MarketValue], where: Mapping[str, object] | None = None) -> int:
        """How many values match; filters as in `page`."""

    @abstractmethod
    def create(self, value: MarketValue, dataset: str = DEFAULT_DATASET) -> None:
        """Store a new value.

        ConflictError when its identifier is taken, InvalidInputError when it names a company that is not stored.
        """

    @abstractmethod
    def update(self, kind: type[T], identifier: str, changes: Mapping[str, object]) -> T:
        """Change the named fields, leave the others, return the whole; the identifier itself cannot change."""

    @abstractmethod
    def delete(self, kind: type[MarketValue], identifier: str) -> None:
        """Remove one value.

        A company takes its listings with it: they are its own and mean nothing without it. It is refused with
        ConflictError while exchanges name it, since they are evidence about another company too. Logged
        recommendations stay, as a log must.
        """

    @abstractmethod
    def bulk_upsert(self, values: Iterable[MarketValue], dataset: str = DEFAULT_DATASET) -> BulkResult:
        """Create or replace many values in one transaction, in bounded memory.

        Kinds may be mixed; a company comes before what names it, or is stored already. For the same identifier the
        last value wins. A value stored in another dataset is never taken over: ConflictError. Whatever ``values``
        raises is passed on, and nothing is stored. ``values`` is read while other market writes wait, and must not
        write to the store itself.
        """

    @abstractmethod
    def datasets(self) -> dict[str, dict[str, int]]:
        """Rows by dataset and kind: ``{"market": {"company": 2, "listing": 3, "exchange": 1}}``; ``{}`` when empty."""

    @abstractmethod
    def delete_dataset(self, dataset: str) -> dict[str, int]:
        """Remove all rows of a dataset; returns how many of each kind.

        NotFoundError when it has none; ConflictError while rows of another dataset name one of its companies.
        """

    @abstractmethod
    def generation(self) -> int:
        """Counts market writes; a snapshot with a smaller number is stale."""

    @abstractmethod
    def read_market(self, datasets: Collection[str] | None = None) -> AbstractContextManager[MarketReader]:
        """The whole market, or some datasets of it, as of one moment."""

    # --- what was shown ---

    @abstractmethod
    def log_recommendations(self, recommendations: Sequence[Recommendation]) -> None:
        """Append what was shown, for good. A request is logged once and whole: all its ranks in one call.

        ``offer``, ``model_versions`` and ``created_at`` (now, when None) belong to the request and must agree within
        it. ConflictError when the request or a recommendation is logged already.
        """

    @abstractmethod
    def get_recommendation(self, recommendation_id: str) -> Recommendation:
        """One recommendation as it was logged."""

    @abstractmethod
    def get_request(self, request_id: str) -> list[Recommendation]:
        """All recommendations of one request, by rank."""

    @property
    @abstractmethod
    def feedback(self) -> FeedbackStore:
        """What happened after it was shown."""

    @abstractmethod
    def judging(self, write: bool = True) -> AbstractContextManager[Judgements]:
        """One transaction in which feedback is judged: everything that is written in it happens, or nothing.

        Writers of the market wait while it is open, so it should be short. Without ``write`` it only reads, and sees
        one moment.
        """

    # --- retraining ---

    @property
    @abstractmethod
    def monitoring(self) -> MonitoringStore:
        """Measurements and alerts."""

    @property
    @abstractmethod
    def configuration(self) -> ConfigStore:
        """Versions of the production configuration."""

    @property
    @abstractmethod
    def marketplace(self) -> MarketplaceStore:
        """What the connector of a marketplace asks."""

    @property
    @abstractmethod
    def retraining(self) -> RetrainingStore:
        """Retraining jobs, model versions, and what serves."""

    # --- callers and settings ---

    @abstractmethod
    def add_api_key(self, key: ApiKey, actor: str = SYSTEM) -> None:
        """Store a key's hash; ConflictError when ``key_id`` is taken."""

    @abstractmethod
    def get_api_key(self, key_id: str) -> ApiKey:
        """A key, revoked or not."""

    @abstractmethod
    def list_api_keys(self) -> list[ApiKey]:
        """All keys, by ``key_id``."""

    @abstractmethod
    def revoke_api_key(self, key_id: str, at: datetime, actor: str = SYSTEM) -> ApiKey:
        """Mark a key as revoked; the first time stays when it already was."""

    @abstractmethod
    def add_session(self, session: WebSession, ended_before: datetime) -> None:
        """Store a session, and forget those that began before a time."""

    @abstractmethod
    def get_session(self, digest: str) -> WebSession:
        """A session; NotFoundError when it has ended."""

    @abstractmethod
    def see_session(self, digest: str, at: datetime) -> None:
        """Note that a session was used; nothing happens when it has ended."""

    @abstractmethod
    def end_sessions(self, digest: str | None = None) -> None:
        """End one session, or all; nothing happens when it has ended."""

    @abstractmethod
    def get_setting(self, key: str, default: object = None) -> object:
        """A JSON value by name."""

    @abstractmethod
    def set_setting(self, key: str, value: object, actor: str | None = None) -> None:
        """Store a JSON value under a name, replacing what was there; audited where somebody did it."""

    @property
    @abstractmethod
    def leases(self) -> LeaseStore:
        """Which process does what only one may do."""

    @property
    @abstractmethod
    def audit(self) -> AuditStore:
        """Who did what."""

    # --- life cycle ---

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the data lies, for people; never with a password."""

    @abstractmethod
    def dump(self, folder: Path) -> Dump:
        """Copy everything, as it is at one moment, into a new file of a folder; others write meanwhile."""

    @abstractmethod
    def check_dump(self, file: Path, rows: Mapping[str, int]) -> str:
        """Look through such a file as far as can be, and say how; BackupError when it is damaged or rows are missing.

        Args:
            file: the copy.
            rows: table -> number of rows that it must hold.
        """

    @abstractmethod
    def ping(self) -> None:
        """Return when the database answers; StorageError otherwise."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; calling it again does nothing."""

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
