from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit, logit

from ism.fusion.calibration import Calibration, fit_calibration, log_lift


def test_log_lift_by_hand():
    """Odds of 1/4, 1/2 and 3/4 are 1/3, 1 and 3: shares 1/13, 3/13 and 9/13, three times that against an even third."""
    np.testing.assert_allclose(
        log_lift(np.float32([[0.25, 0.5, 0.75]])), np.log([[3 / 13, 9 / 13, 27 / 13]]), rtol=1e-5
    )


def test_a_lift_does_not_depend_on_how_many_are_compared():
    few, many = np.float32([[0.9, *[0.1] * 9]]), np.float32([np.tile([0.9, *[0.1] * 9], 40)])
    assert log_lift(many)[0, 0] == pytest.approx(log_lift(few)[0, 0], abs=1e-5)


def test_scores_that_hardly_differ_are_not_left_without_a_say():
    """Trees grown on few cases give scores a hair apart; the order still says who took the offer."""
    rng = np.random.default_rng(3)
    wide = rng.uniform(0.01, 0.99, (2_000, 12)).astype(np.float32)
    taken = (rng.random(wide.shape) < expit(1.5 * log_lift(wide) - 2)).astype(np.float32)
    narrow = expit(logit(wide.astype(np.float64)) * 0.01).astype(np.float32)
    found = fit_calibration(log_lift(narrow).ravel(), taken.ravel())
    assert 100 < found.slope < 150  # 1.5 / 0.01, less what narrow scores lose of their sums


def test_shares_at_the_edges():
    lifts = log_lift(np.float32([[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]]))
    assert np.isfinite(lifts).all()
    np.testing.assert_allclose(np.exp(lifts).sum(axis=1), 3.0, rtol=1e-5)
    np.testing.assert_allclose(np.exp(lifts[1]), 1.0, rtol=1e-5)
    for shape in ((0, 4), (3, 0)):
        assert Calibration()(np.zeros(shape, np.float32)).shape == shape
        assert Calibration(2.0, 0.1, 50)(np.zeros(shape, np.float32)).shape == shape


@pytest.mark.parametrize("calibration", [Calibration(), Calibration(0.3, -1.0, 100), Calibration(5.0, 2.0, 100)])
def test_calibration_keeps_the_order(calibration):
    scores = np.random.default_rng(0).uniform(0.001, 0.999, (20, 50)).astype(np.float32)
    found = calibration(scores)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    by_score = np.take_along_axis(found, np.argsort(scores, axis=1), axis=1)
    assert (np.diff(by_score, axis=1) >= 0).all()


def test_what_was_planted_is_found_and_probabilities_are_reliable():
    """Receivers take an offer with probability sigmoid(1.7 lift - 2): afterwards 0.7 means 0.7."""
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.01, 0.99, (6_000, 12)).astype(np.float32)
    lift = log_lift(scores)
    taken = (rng.random(lift.shape) < expit(1.7 * lift - 2)).astype(np.float32)
    found = fit_calibration(lift[:3_000].ravel(), taken[:3_000].ravel())
    assert (found.slope, found.intercept) == (pytest.approx(1.7, abs=0.1), pytest.approx(-2.0, abs=0.2))
    assert found.cases == 36_000
    said, happened = found(scores[3_000:]).ravel(), taken[3_000:].ravel()
    edges = np.quantile(said, np.linspace(0, 1, 11))
    for low, high in pairwise(edges):
        mine = (said >= low) & (said <= high)
        assert happened[mine].mean() == pytest.approx(said[mine].mean(), abs=0.03)


def test_too_little_or_misleading_evidence_changes_nothing():
    rng = np.random.default_rng(2)
    share = np.log(rng.uniform(0.01, 1, 500)).astype(np.float32)
    few = np.zeros(500, dtype=np.float32)
    few[:19] = 1
    assert fit_calibration(share, few) == Calibration()
    assert fit_calibration(share, np.ones(500, np.float32)) == Calibration()
    assert fit_calibration(share, (share < np.median(share)).astype(np.float32)) == Calibration()  # the wrong way round
    few[19] = 1
    assert fit_calibration(np.sort(share)[::-1].copy(), few).cases == 500


def test_separable_folds_do_not_give_an_infinite_slope():
    share = np.concatenate([np.full(100, -0.1), np.full(900, -5.0)]).astype(np.float32)
    found = fit_calibration(share, (share > -1).astype(np.float32))
    assert 0 < found.slope < 100


def test_without_cases_the_share_itself_is_said():
    scores = np.float32([[0.2, 0.9]])
    odds = np.exp(logit([0.2, 0.9]))
    np.testing.assert_allclose(Calibration()(scores), [odds / odds.sum()], rtol=1e-4)
