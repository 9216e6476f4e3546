"""What every fusion method promises (`ism.fusion.method`)."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ism.domain.engine import FusionModel
from ism.domain.errors import InvalidInputError
from ism.fusion.adaptive import Adaptive
from ism.fusion.learn import Pairs, learn_methods
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.methods import METHODS, built_in, make, method_of, model_of
from ism.fusion.reciprocal_rank import ReciprocalRank
from ism.fusion.stacking import Stacking
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS

ENGINES = list(DEFAULT_WEIGHTS)
SETS = list(chain.from_iterable(combinations(ENGINES, size) for size in range(1, 5)))


def pairs(questions=150, size=12, seed=0):
    """*Simulated*: gnn knows most, matching nothing."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-2, 1.5, questions * size)
    relevant = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
    relevant[::size] |= ~np.logical_or.reduceat(relevant, np.arange(0, len(odds), size))  # each question has an answer
    noise = {"gnn": 0.3, "federated": 1.5, "knowledge_graph": 1.5, "matching": None}
    said = [
        odds + rng.normal(0, width, len(odds)) if width else rng.normal(-2, 1.5, len(odds)) for width in noise.values()
    ]
    question = np.repeat(np.arange(questions), size)
    return Pairs(1 / (1 + np.exp(-np.stack(said, axis=1))), list(noise), relevant, question, question % 3)


@pytest.fixture(scope="module")
def methods():
    learnt = learn_methods(pairs())
    own = [WeightedSum(DEFAULT_WEIGHTS), ReciprocalRank(DEFAULT_WEIGHTS), Adaptive(DEFAULT_WEIGHTS)]
    return {method.name: method for method in (*own, learnt["stacking"], learnt["boosted_trees"], learnt["ensemble"])}


def test_every_method_of_the_table_is_tried(methods):
    assert set(methods) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contributions_add_up_for_every_set_of_engines(methods, name, dtype):
    rng = np.random.default_rng(1)
    method = methods[name]
    for present in SETS:
        opinions = {engine: rng.random((3, 7)).astype(dtype) for engine in present}
        fused = method.fuse(opinions)
        assert fused.final.shape == (3, 7)
        assert fused.final.dtype == dtype
        assert ((fused.final >= 0) & (fused.final <= 1)).all()
        assert set(fused.contributions) == set(present)
        np.testing.assert_allclose(sum(fused.contributions.values()), fused.final, atol=2e-6)
        np.testing.assert_allclose(method.value(opinions), fused.final, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_an_engine_alone_is_followed_in_its_order(methods, name):
    said = np.linspace(0.01, 0.99, 50)
    for engine in ENGINES:
        final = methods[name].value({engine: said})
        assert (np.diff(final) > 0).all() or methods[name].weights[engine] == 0


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"rrf"}))  # ranks move others when one moves
def test_more_of_one_engine_is_never_less(methods, name):
    @settings(max_examples=40, deadline=None)
    @given(arrays(np.float64, (4,), elements=st.floats(0, 1)), st.integers(0, 3), st.floats(0, 1))
    def holds(said, moved, up):
        higher = said.copy()
        higher[moved] = max(said[moved], up)
        low, high = (
            methods[name].value({engine: np.asarray([value]) for engine, value in zip(ENGINES, each, strict=True)})
            for each in (said, higher)
        )
        assert high[0] >= low[0] - 1e-12

    holds()


@pytest.mark.parametrize("name", METHODS)
def test_the_absent_say_what_the_others_say(methods, name):
    """All present engines agree, so the absent change nothing."""
    said = np.linspace(0.05, 0.95, 9)
    for present in SETS:
        alone = methods[name].value(dict.fromkeys(present, said))
        together = methods[name].value(dict.fromkeys(ENGINES, said))
        np.testing.assert_allclose(alone, together, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_a_model_gives_the_method_again(methods, name):
    rng = np.random.default_rng(2)
    opinions = {engine: rng.random(20) for engine in ENGINES}
    model = model_of("x", methods[name])
    again = method_of(model)
    np.testing.assert_array_equal(again.value(opinions), methods[name].value(opinions))
    assert model_of("x", again).parameters == model.parameters


@pytest.mark.parametrize("name", METHODS)
def test_nobody_and_strangers_are_refused(methods, name):
    with pytest.raises(InvalidInputError, match="at least one engine"):
        methods[name].fuse({})
    with pytest.raises(InvalidInputError, match="'oracle'"):
        methods[name].fuse({"oracle": np.ones(2)})


def test_bad_models_are_refused():
    with pytest.raises(InvalidInputError, match="method: 'vote'"):
        make("vote", {}, {})
    with pytest.raises(InvalidInputError, match="parameters"):
        make("stacking", {"gnn": 1.0}, {})
    with pytest.raises(InvalidInputError, match="intercept"):
        make("stacking", {"gnn": 1.0}, {"intercept": float("nan")})
    with pytest.raises(InvalidInputError, match=r"weights\.gnn"):
        make("stacking", {"gnn": -1.0}, {"intercept": 0.0})
    with pytest.raises(InvalidInputError, match="share"):
        make("adaptive", {"gnn": 1.0}, {"share": 2.0})
    with pytest.raises(InvalidInputError, match="constant"):
        make("rrf", {"gnn": 1.0}, {"constant": -1.0})
    with pytest.raises(InvalidInputError, match="shares"):
        make("ensemble", {}, {"members": [], "shares": {}})
    trees = make("boosted_trees", {"gnn": 1.0}, {"intercept": 0.0, "trees": "no model"})
    with pytest.raises(InvalidInputError, match="trees"):
        trees.value({"gnn": np.ones(2)})


def test_the_first_model_is_the_contract_s():
    first = built_in()[0]
    assert (first.model_id, first.model_type, first.version) == ("default_weighted_sum", "weighted_sum", 1)
    assert first.weights == {"gnn": 0.30, "federated": 0.25, "knowledge_graph": 0.25, "matching": 0.20}
    assert isinstance(method_of(FusionModel("x", "weighted_sum", {"a": 1.0})), WeightedSum)


def test_stacking_by_hand():
    """Odds 3 and 1, weights 1 and 2, intercept log 2: odds 2 * 3 * 1 = 6; the first alone counts three times."""
    method = Stacking({"a": 1.0, "b": 2.0}, float(np.log(2)))
    assert method.value({"a": np.asarray(0.75), "b": np.asarray(0.5)}) == pytest.approx(6 / 7)
    assert method.value({"a": np.asarray(0.75)}) == pytest.approx(54 / 55)
    # Alone: a 54/55, b 2/3; together 6/7. Shapley: a (54/55 + 6/7 - 2/3) / 2, b (2/3 + 6/7 - 54/55) / 2.
    shares = method.fuse({"a": np.asarray(0.75), "b": np.asarray(0.5)}).contributions
    assert shares["a"] == pytest.approx((54 / 55 + 6 / 7 - 2 / 3) / 2)
    assert shares["b"] == pytest.approx((2 / 3 + 6 / 7 - 54 / 55) / 2)


def test_reciprocal_ranks_by_hand():
    """Constant 1: ranks 1, 2.5, 2.5 and 3, 2, 1 give 1, 4/7, 4/7 and 1/2, 2/3, 1; even weights."""
    method = ReciprocalRank({"a": 1.0, "b": 1.0}, constant=1.0)
    fused = method.value({"a": np.asarray([0.9, 0.2, 0.2]), "b": np.asarray([0.1, 0.2, 0.3])})
    np.testing.assert_allclose(fused, [3 / 4, (4 / 7 + 2 / 3) / 2, (4 / 7 + 1) / 2])
