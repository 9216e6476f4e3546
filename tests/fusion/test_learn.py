import numpy as np
import pytest
from test_methods import pairs

from ism.domain.errors import InvalidInputError
from ism.fusion.learn import figures, fit_outcomes, fit_pool, learn, learn_weighted_sum, prior_weights
from ism.fusion.nonnegative import fit_logistic


def test_weights_are_non_negative_add_up_and_find_who_knows():
    found = learn_weighted_sum(pairs()).weights
    assert sum(found.values()) == pytest.approx(1.0)
    assert min(found.values()) >= 0
    assert found["gnn"] > 0.6
    assert found["matching"] < 0.1


def test_few_data_stay_near_the_default():
    few, many = (fit_pool(pairs(questions=count), strength=20.0).weights for count in (3, 600))
    assert few["gnn"] == pytest.approx(0.30, abs=0.1)
    assert few["matching"] == pytest.approx(0.20, abs=0.1)
    assert many["gnn"] > 0.75


def test_models_carry_figures_on_unseen_folds():
    found = learn(pairs())
    assert [each.model.model_id for each in found] == ["learned_weighted_sum", "stacking", "boosted_trees", "ensemble"]
    for each in found:
        metrics = each.model.performance_metrics
        assert metrics["questions"] == 150
        assert metrics["mrr"] > metrics["default"]["mrr"]
        assert metrics["log_loss"] < metrics["default"]["log_loss"]
        assert each.unseen.shape == (1800,)


def test_nothing_is_learnt_from_too_little():
    assert learn(pairs(questions=29)) == []
    spoilt = pairs()
    spoilt.said[3, 1] = np.nan
    with pytest.raises(InvalidInputError, match="finite probability"):
        learn(spoilt)


def test_learning_is_deterministic():
    first, second = learn(pairs()), learn(pairs())
    assert [each.model.parameters for each in first] == [each.model.parameters for each in second]
    assert [each.model.weights for each in first] == [each.model.weights for each in second]


def test_figures_by_hand():
    """Right at rank 1, at 2, and level with one other at 1.5: MRR (1 + 1/2 + 2/3) / 3."""
    given = pairs(questions=3, size=2)
    given.relevant[:] = [True, False, False, True, True, False]
    found = figures(given, np.asarray([0.9, 0.1, 0.8, 0.2, 0.5, 0.5]))
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert found["recall@10"] == 1.0
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.9, 0.2, 0.2, 0.5, 0.5]).mean())


def test_outcomes_teach_weights_also_with_silent_engines():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.95, 2000)
    label = (rng.random(2000) < truth).astype(float)
    said = np.stack([truth, rng.uniform(0.05, 0.95, 2000)], axis=1)
    said[::5, 0] = np.nan
    found = fit_outcomes(said, ["gnn", "matching"], label, np.ones(2000)).weights
    assert found["gnn"] > 0.85
    nothing = fit_outcomes(said, ["gnn", "matching"], label, np.zeros(2000)).weights
    assert nothing == pytest.approx(
        dict(zip(["gnn", "matching"], prior_weights(["gnn", "matching"]), strict=True)), abs=1e-3
    )


def test_logistic_slopes_keep_their_bound():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(3000, 2))
    taken = (rng.random(3000) < 1 / (1 + np.exp(-(1.5 * columns[:, 0] - columns[:, 1] - 0.5)))).astype(float)
    slopes, intercept = fit_logistic(columns, taken, least=0.0)
    assert slopes[0] > 1
    assert slopes[1] == 0.0
    assert intercept < 0
    free, _ = fit_logistic(columns, taken, least=-np.inf)
    assert free[1] == pytest.approx(-1.0, abs=0.15)
