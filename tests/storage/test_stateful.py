"""A store and a plain dict are told the same things in any order, and must agree."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.market import Company, Exchange, Listing
from ism.storage import MarketValue, Store

KINDS: tuple[type[MarketValue], ...] = (Company, Listing, Exchange)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
FILLED = TEXT.filter(bool)
KEYS = st.sampled_from(["a", "B", "é", "zz"])
DATASETS = st.sampled_from(["market", "demo"])
QUANTITY = st.none() | st.floats(0, 1e12)
COMPANIES = st.builds(
    Company, KEYS, FILLED, nace=st.none() | TEXT, latitude=st.none() | st.floats(-90, 90), description=TEXT
)
LISTINGS = st.builds(
    Listing,
    KEYS,
    KEYS,
    st.sampled_from(["offer", "need"]),
    FILLED,
    TEXT,
    quantity_t_per_year=QUANTITY,
    hazardous=st.none() | st.booleans(),
)
EXCHANGES = st.builds(Exchange, KEYS, KEYS, KEYS, FILLED, year_start=st.none() | st.integers(1500, 2200))
VALUES = st.one_of(COMPANIES, LISTINGS, EXCHANGES)


def key_of(value: MarketValue) -> tuple[type[MarketValue], str]:
    match value:
        case Company():
            return Company, value.company_id
        case Listing():
            return Listing, value.listing_id
        case Exchange():
            return Exchange, value.exchange_id


def named_by(value: MarketValue) -> set[str]:
    match value:
        case Company():
            return set()
        case Listing():
            return {value.company_id}
        case Exchange():
            return {value.from_company, value.to_company}


Model = dict[tuple[type[MarketValue], str], tuple[MarketValue, str]]


def written(model: Model, value: MarketValue, dataset: str) -> Model:
    """The model after an upsert, or the error that the store must raise."""
    if model.get(key_of(value), (value, dataset))[1] != dataset:
        raise ConflictError
    if any((Company, name) not in model for name in named_by(value)):
        raise InvalidInputError("company", value, "")
    return model | {key_of(value): (value, dataset)}


class StoreMachine(RuleBasedStateMachine):
    store: Store  # set by the test

    def __init__(self) -> None:
        super().__init__()
        for exchange in self.store.page(Exchange).items:
            self.store.delete(Exchange, exchange.exchange_id)
        for company in self.store.page(Company).items:
            self.store.delete(Company, company.company_id)
        self.model: Model = {}
        self.generation = self.store.generation()

    def attempt(self, change: Callable[[], Model], write: Callable[[], object]) -> None:
        """Apply to both; both succeed or both fail alike."""
        try:
            after = change()
        except (ConflictError, InvalidInputError, NotFoundError) as error:
            with pytest.raises(type(error)):
                write()
            return
        write()
        self.model = after
        assert self.store.generation() > self.generation
        self.generation = self.store.generation()

    @rule(value=VALUES, dataset=DATASETS)
    def create(self, value: MarketValue, dataset: str) -> None:
        def change() -> Model:
            if key_of(value) in self.model:
                raise ConflictError
            return written(self.model, value, dataset)

        self.attempt(change, lambda: self.store.create(value, dataset))

    @rule(values=st.lists(VALUES, max_size=8), dataset=DATASETS)
    def bulk(self, values: list[MarketValue], dataset: str) -> None:
        # Batches are written kind by kind; sorted like that, the first error is the same one.
        ordered = sorted(values, key=lambda value: KINDS.index(type(value)))

        def change() -> Model:
            model = self.model
            for value in ordered:
                model = written(model, value, dataset)
            return model

        try:
            change()
        except (ConflictError, InvalidInputError):
            before = self.store.generation()
            with pytest.raises((ConflictError, InvalidInputError)):
                self.store.bulk_upsert(ordered, dataset)
            assert self.store.generation() == before
        else:
            self.attempt(change, lambda: self.store.bulk_upsert(ordered, dataset))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), text=FILLED)
    def update(self, data: st.DataObject, text: str) -> None:
        kind, key = data.draw(st.sampled_from(sorted(self.model, key=repr)))
        field = "name" if kind is Company else "material"
        value, dataset = self.model[kind, key]

        def change() -> Model:
            return self.model | {(kind, key): (replace(value, **{field: text}), dataset)}  # type: ignore[arg-type]  # a text field of each kind

        self.attempt(change, lambda: self.store.update(kind, key, {field: text}))

    @rule(kind=st.sampled_from(KINDS), key=KEYS)
    def delete(self, kind: type[MarketValue], key: str) -> None:
        def change() -> Model:
            if (kind, key) not in self.model:
                raise NotFoundError("value", key)
            kept = {other: item for other, item in self.model.items() if other != (kind, key)}
            if kind is not Company:
                return kept
            naming = {other for other, (value, _) in kept.items() if key in named_by(value)}
            if any(other[0] is Exchange for other in naming):
                raise ConflictError
            return {other: item for other, item in kept.items() if other not in naming}

        self.attempt(change, lambda: self.store.delete(kind, key))

    @rule(dataset=DATASETS)
    def delete_dataset(self, dataset: str) -> None:
        def change() -> Model:
            kept = {key: item for key, item in self.model.items() if item[1] != dataset}
            if len(kept) == len(self.model):
                raise NotFoundError("dataset", dataset)
            if any((Company, name) not in kept for value, _ in kept.values() for name in named_by(value)):
                raise ConflictError
            return kept

        self.attempt(change, lambda: self.store.delete_dataset(dataset))

    @invariant()
    def same(self) -> None:
        with self.store.read_market() as reader:
            stored = {key_of(value): value for kind in KINDS for value in reader.rows(kind)}
            assert reader.generation == self.generation
        assert stored == {key: value for key, (value, _) in self.model.items()}
        totals: dict[str, int] = {}
        for _, dataset in self.model.values():
            totals[dataset] = totals.get(dataset, 0) + 1
        assert {name: sum(rows.values()) for name, rows in self.store.datasets().items()} == totals


def test_store_agrees_with_a_dict(store: Store) -> None:
    machine = type("Machine", (StoreMachine,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            phases=[Phase.generate],  # shrinking would write to disk for minutes
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
