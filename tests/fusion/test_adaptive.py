import numpy as np
import pytest

from bench.fusion_adaptive import LEAST_WEIGHT, OUTCOMES, best_sequence, broken_midway, losses, until_left
from ism.domain.errors import InvalidInputError
from ism.fusion.adaptive import Hedge

EVEN = np.full(4, 0.25)


def test_one_step_by_hand():
    """Said 0.8 and 0.4 of a match that came about: weights 2/3 and 1/3, a tenth spread evenly; loss -log 0.6."""
    weights, loss = Hedge(share=0.1).step(np.asarray([0.5, 0.5]), np.asarray([0.8, 0.4]), 1.0)
    np.testing.assert_allclose(weights, [0.9 * 2 / 3 + 0.05, 0.9 / 3 + 0.05])
    assert loss == pytest.approx(-np.log(0.6))
    weights, loss = Hedge(share=0.0).step(np.asarray([0.5, 0.5]), np.asarray([0.8, 0.4]), 0.0)
    np.testing.assert_allclose(weights, [0.25, 0.75])
    assert loss == pytest.approx(-np.log(0.4))


def test_the_silent_keep_their_weight():
    before = np.asarray([0.2, 0.3, 0.5])
    weights, _ = Hedge(share=0.0).step(before, np.asarray([0.9, np.nan, 0.1]), 1.0)
    assert weights[1] == pytest.approx(0.3)
    assert weights[0] / weights[2] == pytest.approx(0.2 * 0.9 / (0.5 * 0.1))
    assert weights.sum() == pytest.approx(1.0)
    same, loss = Hedge().step(before, np.full(3, np.nan), 1.0)
    assert (same.tolist(), loss) == (before.tolist(), 0.0)
    same, loss = Hedge().step(before, np.full(3, 0.5), 1.0, mass=0.0)
    assert (same.tolist(), loss) == (before.tolist(), 0.0)


def test_a_weight_above_one_counts_as_one():
    said = np.asarray([0.9, 0.2, 0.5, 0.4])
    np.testing.assert_array_equal(Hedge().step(EVEN, said, 1.0, 7.0)[0], Hedge().step(EVEN, said, 1.0, 1.0)[0])


@pytest.mark.parametrize("opposite", [False, True])
def test_the_best_engine_breaks_midway(opposite):
    """*Simulated*: its weight is below 10 % within 50 outcomes, and all losses within 10 % of the best sequence's."""
    for seed in range(8):
        said, label = broken_midway(seed, opposite=opposite)
        weights, paid = Hedge().run(EVEN, said, label)
        assert weights[OUTCOMES // 2 - 100 : OUTCOMES // 2, 0].mean() > 0.5  # it was trusted before
        assert until_left(weights, OUTCOMES) <= 50
        assert weights[-400:, 0].mean() < LEAST_WEIGHT
        assert paid.sum() <= 1.10 * best_sequence(losses(said, label))


def test_plain_hedge_is_slower():
    said, label = broken_midway(0)
    fixed, plain = (until_left(rule.run(EVEN, said, label)[0], OUTCOMES) for rule in (Hedge(), Hedge(share=0.0)))
    assert plain > 5 * fixed


@pytest.mark.parametrize("share", [0.002, 0.01, 0.2])
def test_the_regret_stays_below_its_bound(share):
    """Also against outcomes made to hurt: the engine with the most weight is always wrong."""
    rng = np.random.default_rng(3)
    rule, weights, paid, each = Hedge(share=share), EVEN, 0.0, []
    for _ in range(400):
        said = rng.uniform(0.02, 0.98, 4)
        label = float(said[np.argmax(weights)] < 0.5)
        each.append(-np.log(said if label else 1 - said))
        weights, loss = rule.step(weights, said, label)
        paid += loss
    each = np.asarray(each)
    for cuts in ([], [200], [100, 300]):
        best = sum(part.sum(axis=0).min() for part in np.split(each, cuts))
        assert paid - best <= rule.regret_bound(400, len(cuts), 4) + 1e-9


def test_the_bound_by_hand():
    assert Hedge(share=0.5).regret_bound(3, 1, 2) == pytest.approx(np.log(2) + np.log(4) + np.log(2))
    assert Hedge(share=0.0).regret_bound(100, 0, 4) == pytest.approx(np.log(4))
    assert Hedge(share=0.0).regret_bound(100, 1, 4) == float("inf")
    with pytest.raises(InvalidInputError, match="rate"):
        Hedge(rate=0.5).regret_bound(10, 1, 4)
    with pytest.raises(InvalidInputError, match="rate"):
        Hedge(rate=2.0)
