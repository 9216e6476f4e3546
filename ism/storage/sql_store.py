"""The store on SQLite or PostgreSQL: each method is one transaction."""
# ruff: noqa: D102 - the contract, `Store`, documents every method

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, text

from ism.domain.audit import Act
from ism.domain.market import Recommendation
from ism.storage import audit_sql, log_sql, market_sql
from ism.storage.audit_sql import SqlAuditStore
from ism.storage.base import (
    DEFAULT_DATASET,
    SYSTEM,
    ApiKey,
    BulkResult,
    MarketReader,
    MarketValue,
    Page,
    Store,
    T,
    WebSession,
)
from ism.storage.config_sql import SqlConfigStore
from ism.storage.database import Database
from ism.storage.dump import Dump, check_postgres, check_sqlite, dump
from ism.storage.feedback_sql import SqlFeedbackStore
from ism.storage.fusion_sql import SqlFusionStore
from ism.storage.judgement import Judgements
from ism.storage.lease_sql import SqlLeaseStore
from ism.storage.marketplace_sql import SqlMarketplaceStore
from ism.storage.monitoring_sql import SqlMonitoringStore
from ism.storage.retraining_sql import SqlRetrainingStore
from ism.storage.rows import check_identifier, spec_of


class SqlStore(SqlFusionStore, Store):
    """Keeps everything in a database whose schema is up to date; see `Store` for what each method promises.

    Args:
        database: is closed with the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feedback = SqlFeedbackStore(database)
        self._retraining = SqlRetrainingStore(database)
        self._monitoring = SqlMonitoringStore(database)
        self._configuration = SqlConfigStore(database)
        self._audit = SqlAuditStore(database)
        self._leases = SqlLeaseStore(database)
        self._marketplace = SqlMarketplaceStore(database)

    def get(self, kind: type[T], identifier: str) -> T:
        with self._database.read() as connection:
            return market_sql.get(connection, spec_of(kind), identifier)

    def page(
        self, kind: type[T], *, after: str | None = None, limit: int = 100, where: Mapping[str, object] | None = None
    ) -> Page[T]:
        with self._database.read() as connection:
            return market_sql.page(connection, spec_of(kind), after, limit, where)

    def count(self, kind: type[MarketValue], where: Mapping[str, object] | None = None) -> int:
        with self._database.read() as connection:
            return market_sql.count(connection, spec_of(kind), where)

    def create(self, value: MarketValue, dataset: str = DEFAULT_DATASET) -> None:
        check_identifier("dataset", dataset)
        with self._market_write() as connection:
            market_sql.create(connection, value, dataset)

    def update(self, kind: type[T], identifier: str, changes: Mapping[str, object]) -> T:
        with self._market_write() as connection:
            return market_sql.change(connection, spec_of(kind), identifier, changes)

    def delete(self, kind: type[MarketValue], identifier: str) -> None:
        with self._market_write() as connection:
            market_sql.remove(connection, spec_of(kind), identifier)

    def bulk_upsert(self, values: Iterable[MarketValue], dataset: str = DEFAULT_DATASET) -> BulkResult:
        check_identifier("dataset", dataset)
        with self._market_write() as connection:
            return market_sql.BulkWriter(connection, dataset).write(values)

    def datasets(self) -> dict[str, dict[str, int]]:
        with self._database.snapshot() as connection:
            return market_sql.datasets(connection)

    def delete_dataset(self, dataset: str) -> dict[str, int]:
        with self._market_write() as connection:
            return market_sql.remove_dataset(connection, dataset)

    def generation(self) -> int:
        with self._database.read() as connection:
            return market_sql.generation(connection)

    @contextmanager
    def read_market(self, datasets: Collection[str] | None = None) -> Iterator[MarketReader]:
        with self._database.snapshot() as connection:
            yield market_sql.SqlMarketReader(connection, datasets)

    def log_recommendations(self, recommendations: Sequence[Recommendation]) -> None:
        if recommendations:
            with self._database.write() as connection:
                log_sql.log(connection, recommendations)

    def get_recommendation(self, recommendation_id: str) -> Recommendation:
        with self._database.read() as connection:
            return log_sql.one_recommendation(connection, recommendation_id)

    def get_request(self, request_id: str) -> list[Recommendation]:
        with self._database.read() as connection:
            return log_sql.of_request(connection, request_id)

    @property
    def feedback(self) -> SqlFeedbackStore:
        return self._feedback

    @contextmanager
    def judging(self, write: bool = True) -> Iterator[Judgements]:
        with self._database.write() if write else self._database.snapshot() as connection:
            yield Judgements(connection)

    def add_api_key(self, key: ApiKey, actor: str = SYSTEM) -> None:
        with self._database.write() as connection:
            log_sql.add_key(connection, key)
            audit_sql.append(connection, Act(actor, "key.create", key.key_id, {"name": key.name, "role": key.role}))

    def get_api_key(self, key_id: str) -> ApiKey:
        with self._database.read() as connection:
            return log_sql.one_key(connection, key_id)

    def list_api_keys(self) -> list[ApiKey]:
        with self._database.read() as connection:
            return log_sql.all_keys(connection)

    def revoke_api_key(self, key_id: str, at: datetime, actor: str = SYSTEM) -> ApiKey:
        with self._database.write() as connection:
            key = log_sql.revoke_key(connection, key_id, at)
            if key.revoked_at == at:
                audit_sql.append(connection, Act(actor, "key.revoke", key_id, {"name": key.name}))
            return key

    def add_session(self, session: WebSession, ended_before: datetime) -> None:
        with self._database.write() as connection:
            log_sql.add_session(connection, session, ended_before)

    def get_session(self, digest: str) -> WebSession:
        with self._database.read() as connection:
            return log_sql.one_session(connection, digest)

    def see_session(self, digest: str, at: datetime) -> None:
        with self._database.write() as connection:
            log_sql.see_session(connection, digest, at)

    def end_sessions(self, digest: str | None = None) -> None:
        with self._database.write() as connection:
            log_sql.end_sessions(connection, digest)

    def get_setting(self, key: str, default: object = None) -> object:
        with self._database.read() as connection:
            return log_sql.one_setting(connection, key, default)

    def set_setting(self, key: str, value: object, actor: str | None = None) -> None:
        with self._database.write() as connection:
            log_sql.put_setting(connection, key, value)
            if actor is not None:
                audit_sql.append(connection, Act(actor, "setting.change", key, {"value": value}))

    @property
    def leases(self) -> SqlLeaseStore:
        return self._leases

    @property
    def audit(self) -> SqlAuditStore:
        return self._audit

    @property
    def configuration(self) -> SqlConfigStore:
        return self._configuration

    @property
    def marketplace(self) -> SqlMarketplaceStore:
        return self._marketplace

    @property
    def retraining(self) -> SqlRetrainingStore:
        return self._retraining

    @property
    def monitoring(self) -> SqlMonitoringStore:
        return self._monitoring

    @property
    def location(self) -> str:
        return self._database.location

    def dump(self, folder: Path) -> Dump:
        with self._database.translated():
            return dump(self._database.engine, folder)

    def check_dump(self, file: Path, rows: Mapping[str, int]) -> str:
        if self._database.rules.single_writer:
            check_sqlite(file, rows)
            return "restored into a scratch folder"
        with self._database.translated():
            return check_postgres(self._database.engine, file, rows)

    def ping(self) -> None:
        with self._database.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _market_write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            market_sql.begin_market_write(connection)
            yield connection
