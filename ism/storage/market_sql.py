"""The market's rows: functions on an open transaction.

Those that write expect `begin_market_write` to have run in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from ism.storage import schema
from ism.storage.base import BulkResult, Columns, MarketReader, MarketValue, Page, T
from ism.storage.dialects import bulk_writer
from ism.storage.rows import COMPANY, EXCHANGE, LISTING, SPECS, Row, TableSpec, changed, check_text, spec_of, utc_now

BATCH = 1_000
FETCH = 5_000
MAX_PAGE = 1_000
_SHOWN = 3
_KEPT_ON_UPSERT = ("dataset", "created_at")


def begin_market_write(connection: Connection) -> None:
    """Raise the generation.

    It comes first in each market write because its row lock makes such writes on PostgreSQL queue up, as SQLite's do
    anyway: what is checked after it stays true until the commit.
    """
    counter = schema.counter
    done = connection.execute(
        update(counter).where(counter.c.name == schema.MARKET_COUNTER).values(value=counter.c.value + 1)
    )
    if done.rowcount != 1:
        raise StorageError(f"{counter.name}: the row {schema.MARKET_COUNTER!r} is missing. Restore a backup.")


def queue_up(connection: Connection) -> None:
    """Wait for other market writes as one does, and change nothing."""
    counter = schema.counter.c
    connection.execute(select(counter.value).where(counter.name == schema.MARKET_COUNTER).with_for_update())


def generation(connection: Connection) -> int:
    """The generation that this transaction sees."""
    value = connection.scalar(select(schema.counter.c.value).where(schema.counter.c.name == schema.MARKET_COUNTER))
    if value is None:
        raise StorageError(f"{schema.counter.name}: the row {schema.MARKET_COUNTER!r} is missing. Restore a backup.")
    return int(value)


def get(connection: Connection, spec: TableSpec[T], identifier: str) -> T:
    """One value, or NotFoundError."""
    check_text(spec.key.name, identifier)
    row = connection.execute(select(*spec.columns).where(spec.key == identifier)).first()
    if row is None:
        raise NotFoundError(spec.label, identifier)
    return spec.value(row)


def page(
    connection: Connection, spec: TableSpec[T], after: str | None, limit: int, where: Mapping[str, object] | None
) -> Page[T]:
    """Up to ``limit`` values behind ``after``."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInputError("limit", limit, f"Give a number from 1 to {MAX_PAGE}.")
    query = select(*spec.columns).where(*spec.conditions(where)).order_by(spec.key).limit(limit + 1)
    if after is not None:
        check_text("after", after)
        query = query.where(spec.key > after)
    rows = connection.execute(query).all()  # one more than asked for tells whether there is a next page
    items = [spec.value(row) for row in rows[:limit]]
    return Page(items, getattr(items[-1], spec.key.name) if len(rows) > limit else None)


def count(connection: Connection, spec: TableSpec[Any], where: Mapping[str, object] | None) -> int:
    """How many rows match."""
    return connection.scalar(select(func.count()).select_from(spec.table).where(*spec.conditions(where))) or 0


def create(connection: Connection, value: MarketValue, dataset: str) -> None:
    """Insert one value."""
    spec = spec_of(type(value))
    row = spec.row(value, dataset, utc_now())
    stored_in = _datasets_of(connection, spec, [row[spec.key.name]])
    if stored_in:
        (identifier, owner), *_ = stored_in.items()
        raise ConflictError(
            f"{spec.key.name}: {identifier!r} exists already (dataset {owner!r}). Update it, or choose another."
        )
    _require_companies(connection, spec, [row])
    connection.execute(insert(spec.table).values(row))


def change(connection: Connection, spec: TableSpec[T], identifier: str, changes: Mapping[str, object]) -> T:
    """Update some fields of one value."""
    value = changed(get(connection, spec, identifier), changes, spec)
    row = spec.row(value, "", utc_now())
    _require_companies(connection, spec, [row])
    written = {name: row[name] for name in (*changes, "updated_at")}
    connection.execute(update(spec.table).where(spec.key == identifier).values(written))
    return get(connection, spec, identifier)


def remove(connection: Connection, spec: TableSpec[Any], identifier: str) -> None:
    """Delete one value; the database removes a company's listings with it."""
    get(connection, spec, identifier)
    if spec is COMPANY:
        named = EXCHANGE.conditions({"company_id": identifier})
        _refuse_while_named(connection, EXCHANGE, named, f"company {identifier!r}")
    connection.execute(delete(spec.table).where(spec.key == identifier))


def datasets(connection: Connection) -> dict[str, dict[str, int]]:
    """Rows by dataset and kind."""
    found: dict[str, dict[str, int]] = {}
    for spec in SPECS:
        column = spec.table.c.dataset
        for name, rows in connection.execute(select(column, func.count()).group_by(column).order_by(column)):
            found.setdefault(name, {other.label: 0 for other in SPECS})[spec.label] = rows
    return dict(sorted(found.items()))


def remove_dataset(connection: Connection, dataset: str) -> dict[str, int]:
    """Delete all rows of a dataset."""
    removed = {spec.label: count(connection, spec, {"dataset": dataset}) for spec in SPECS}
    if not any(removed.values()):
        raise NotFoundError("dataset", dataset)
    members = select(COMPANY.key).where(schema.company.c.dataset == dataset)
    for spec in (LISTING, EXCHANGE):
        for name in spec.references:
            outside = (spec.table.c[name].in_(members), spec.table.c.dataset != dataset)
            _refuse_while_named(connection, spec, outside, f"dataset {dataset!r}")
    for spec in reversed(SPECS):
        connection.execute(delete(spec.table).where(spec.table.c.dataset == dataset))
    return removed


class BulkWriter:
    """Writes values in batches within one transaction.

    Args:
        connection: the transaction.
        dataset: the set that new rows belong to.
    """

    def __init__(self, connection: Connection, dataset: str) -> None:
        self._connection = connection
        self._dataset = dataset
        self._now = utc_now()
        self._pending: dict[str, dict[str, Row]] = {spec.label: {} for spec in SPECS}
        self._replaced: dict[str, list[Row]] = {spec.label: [] for spec in SPECS}
        self._waiting = self._created = self._updated = 0
        self._writers = {spec.label: bulk_writer(connection, spec.table, _KEPT_ON_UPSERT) for spec in SPECS}

    def write(self, values: Iterable[MarketValue]) -> BulkResult:
        """Write all values; the last one with the same identifier wins."""
        for value in values:
            spec = spec_of(type(value))
            row = spec.row(value, self._dataset, self._now)
            batch = self._pending[spec.label]
            earlier = batch.get(row[spec.key.name])
            if earlier is not None:
                # It will not be written, but is checked as if it were: a refusal must not depend on where batches end.
                self._replaced[spec.label].append(earlier)
            batch[row[spec.key.name]] = row
            self._waiting += 1
            if self._waiting >= BATCH:
                self._flush()
        self._flush()
        return BulkResult(self._created, self._updated)

    def _flush(self) -> None:
        for spec in SPECS:
            batch = self._pending[spec.label]
            if batch:
                self._write_batch(spec, batch, self._replaced[spec.label])
                batch.clear()
                self._replaced[spec.label].clear()
        self._waiting = 0

    def _write_batch(self, spec: TableSpec[Any], batch: dict[str, Row], replaced: list[Row]) -> None:
        stored_in = _datasets_of(self._connection, spec, batch)
        for identifier, owner in stored_in.items():
            if owner != self._dataset:
                raise ConflictError(
                    f"{spec.key.name}: {identifier!r} belongs to dataset {owner!r}, not to {self._dataset!r}. "
                    "Choose another identifier, or delete that dataset first."
                )
        _require_companies(self._connection, spec, [*replaced, *batch.values()])
        self._writers[spec.label](list(batch.values()))
        self._updated += len(stored_in) + len(replaced)
        self._created += len(batch) - len(stored_in)


class SqlMarketReader(MarketReader):
    """Reads the market within one snapshot transaction.

    Args:
        connection: the transaction.
        datasets: what to read; everything when None.
    """

    def __init__(self, connection: Connection, datasets: Collection[str] | None) -> None:
        self._connection = connection
        self._datasets = None if datasets is None else sorted(datasets)
        self._generation = generation(connection)

    @property
    def generation(self) -> int:
        """The generation that is read."""
        return self._generation

    def rows(self, kind: type[T]) -> Iterator[T]:
        """Every value of one kind, by identifier."""
        spec = spec_of(kind)
        for part in self._parts(spec, FETCH):
            yield from map(spec.value, part)

    def columns(self, kind: type[MarketValue], size: int = 10_000) -> Iterator[Columns]:
        """Column lists of up to ``size`` rows."""
        if size < 1:
            raise InvalidInputError("size", size, "Give at least 1.")
        spec = spec_of(kind)
        for part in self._parts(spec, size):
            yield dict(zip(spec.fields, map(list, zip(*part, strict=True)), strict=True))

    def _parts(self, spec: TableSpec[Any], size: int) -> Iterator[Any]:
        query = select(*spec.columns).order_by(spec.key)
        if self._datasets is not None:
            query = query.where(spec.table.c.dataset.in_(self._datasets))
        with self._connection.execute(query, execution_options={"yield_per": size}) as result:
            yield from result.partitions()


def _datasets_of(connection: Connection, spec: TableSpec[Any], identifiers: Iterable[str]) -> dict[str, str]:
    """The dataset of each identifier that is stored."""
    found = connection.execute(select(spec.key, spec.table.c.dataset).where(spec.key.in_(list(identifiers))))
    return {identifier: dataset for identifier, dataset in found}


def _require_companies(connection: Connection, spec: TableSpec[Any], rows: Collection[Row]) -> None:
    """Refuse rows that name a company which is not stored."""
    if not spec.references:
        return
    named = {row[name] for row in rows for name in spec.references}
    known = set(connection.scalars(select(COMPANY.key).where(COMPANY.key.in_(list(named)))))
    if known == named:
        return
    for row in rows:
        for name in spec.references:
            if row[name] not in known:
                raise InvalidInputError(
                    name,
                    row[name],
                    f"{spec.label} {row[spec.key.name]!r} names a company that is not stored. Store that first.",
                )


def _refuse_while_named(
    connection: Connection, spec: TableSpec[Any], conditions: Collection[ColumnElement[bool]], subject: str
) -> None:
    total = connection.scalar(select(func.count()).select_from(spec.table).where(*conditions)) or 0
    if total:
        some = connection.scalars(select(spec.key).where(*conditions).order_by(spec.key).limit(_SHOWN)).all()
        raise ConflictError(_named_by(subject, spec, total, some))


def _named_by(subject: str, spec: TableSpec[Any], total: int, some: Collection[str]) -> str:
    shown = ", ".join(map(repr, some)) + (", …" if total > len(some) else "")
    return f"{subject} cannot be deleted: {total} {spec.label}(s) name it ({shown}). Delete those first."
