"""What `FusionStore` promises, in memory, on SQLite and on PostgreSQL."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ism.domain.engine import FusionModel
from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.fusion import ActiveFusion, MaturedOutcomes
from ism.fusion.memory import MemoryFusionStore
from ism.fusion.registry import FusionRegistry
from ism.storage import open_postgres, open_sqlite

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryFusionStore()
    elif request.param == "sqlite":
        with open_sqlite(tmp_path / "data") as opened:
            yield opened
    else:
        with open_postgres(request.getfixturevalue("postgres_url")) as opened:
            yield opened


def outcomes(rows, shuffled=None):
    rows = list(rows)
    if shuffled is not None:
        random.Random(shuffled).shuffle(rows)
    rng = {row: np.random.default_rng(row) for row in rows}
    return MaturedOutcomes(
        [f"r-{row}" for row in rows],
        {
            "gnn": np.asarray([rng[row].random() for row in rows]),
            "matching": np.asarray([np.nan if row % 3 == 0 else rng[row].random() for row in rows]),
        },
        np.asarray([row % 2 for row in rows], float),
        np.asarray([0.5 + 0.5 * (row % 2) for row in rows]),
        [START + timedelta(hours=row // 2) for row in rows],
    )


def test_models_get_versions(store):
    first = store.add_fusion_model(FusionModel("x", "weighted_sum", {"gnn": 1.0}, {"method": "weighted_sum"}))
    second = store.add_fusion_model(FusionModel("x", "weighted_sum", {"gnn": 0.5}, version=9))
    assert (first.version, second.version) == (1, 2)
    assert [model.weights for model in store.fusion_models()] == [{"gnn": 0.5}]
    assert store.get_fusion_model("x", 1) == first
    assert store.get_fusion_model("x") == second
    for missing in [("y", None), ("x", 3)]:
        with pytest.raises(NotFoundError, match="fusion model"):
            store.get_fusion_model(*missing)


def test_a_switch_is_logged_and_compared_with_what_was_active(store):
    assert store.active_fusion() is None
    store.add_fusion_model(FusionModel("x", "weighted_sum", {"gnn": 1.0}))
    before = ActiveFusion("default_weighted_sum", 1)
    done = store.switch_fusion("x", 1, before=before, actor="ann", reason="try")
    assert store.active_fusion() == ActiveFusion("x", 1, 1)
    assert store.fusion_switches() == [done]
    assert (done.number, done.previous_id, done.actor, done.reason, done.reverts) == (
        1, "default_weighted_sum", "ann", "try", None,
    )  # fmt: skip
    with pytest.raises(ConflictError, match="meanwhile"):
        store.switch_fusion("x", 1, before=before, actor="bob", reason="")
    with pytest.raises(NotFoundError):
        store.switch_fusion("gone", 1, before=store.active_fusion(), actor="bob", reason="")
    assert store.fusion_switches() == [done]


def test_use_and_revert_walk_back(store):
    registry = FusionRegistry(store)
    assert registry.active().model_id == "default_weighted_sum"
    for model in ("rrf", "adaptive", "rrf"):
        registry.use(model, actor="ann")
    walked = [registry.revert(actor="bob").model_id for _ in range(3)]
    assert walked == ["adaptive", "rrf", "default_weighted_sum"]
    with pytest.raises(ConflictError, match="no switch left"):
        registry.revert()
    assert [switch.reverts for switch in registry.switches()] == [1, 2, 3, None, None, None]
    registry.use("rrf")
    assert registry.revert().model_id == "default_weighted_sum"
    with pytest.raises(NotFoundError, match="'gone'"):
        registry.use("gone")


def test_the_same_model_is_stored_once(store):
    registry = FusionRegistry(store)
    model = FusionModel("mine", "weighted_sum", {"gnn": 1.0}, {"method": "weighted_sum"}, {"mrr": 0.3})
    assert registry.add(model).version == registry.add(model).version == 1
    assert registry.add(FusionModel("mine", "weighted_sum", {"gnn": 0.9})).version == 2
    with pytest.raises(InvalidInputError, match="method"):
        registry.add(FusionModel("bad", "weighted_sum", {}, {"method": "vote"}))


def test_the_generation_grows_with_every_change(store):
    registry, seen = FusionRegistry(store), []
    for act in (
        lambda: registry.add(FusionModel("mine", "weighted_sum", {"gnn": 1.0})),
        lambda: registry.use("mine"),
        lambda: registry.observe(outcomes(range(3))),
        registry.revert,
    ):
        seen.append(registry.generation())
        act()
    seen.append(registry.generation())
    assert all(before < after for before, after in itertools.pairwise(seen))


def test_outcomes_count_once_and_in_order_of_maturity(store):
    """Delivered three times, shuffled, in batches: the weights are those of one pass in order."""
    straight = FusionRegistry(MemoryFusionStore())
    assert straight.observe(outcomes(range(30))) == 30
    registry, new = FusionRegistry(store), 0
    for delivery, start in itertools.product(range(3), (20, 0, 10)):
        new += registry.observe(outcomes(range(start, start + 10), shuffled=delivery))
    assert new == 30
    expected, found = straight.weight_history(), registry.weight_history()
    assert [step.outcome.recommendation_id for step in found] == [step.outcome.recommendation_id for step in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.outcome == theirs.outcome
        assert ours.weights == pytest.approx(theirs.weights, abs=1e-12)
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-12)
    [adaptive] = [model for model in registry.models() if model.model_id == "adaptive"]
    assert adaptive.weights == pytest.approx(expected[-1].weights)
    assert sum(adaptive.weights.values()) == pytest.approx(1.0)


BAD = {
    "label": lambda given: given.label.__setitem__(1, 1.5),
    "weight": lambda given: given.weight.__setitem__(1, -0.1),
    r"scores\.gnn": lambda given: given.scores["gnn"].__setitem__(1, 2.0),
    "'oracle'": lambda given: given.scores.__setitem__("oracle", np.ones(4)),
    r"label: 4.*Give 3 values": lambda given: given.recommendation_id.pop(),
    "matured_at": lambda given: given.matured_at.__setitem__(1, datetime(2026, 1, 1)),
    "at least one engine": lambda given: [values.fill(np.nan) for values in given.scores.values()],
}


@pytest.mark.parametrize("field", BAD)
def test_bad_outcomes_are_refused_whole(store, field):
    registry = FusionRegistry(store)
    given = outcomes(range(4))
    BAD[field](given)
    with pytest.raises(InvalidInputError, match=field):
        registry.observe(given)
    assert registry.weight_history() == []
