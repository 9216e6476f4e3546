"""Beta and isotonic curves, and the choice between the three."""

import numpy as np
import pytest
from scipy.special import expit

from ism.fusion.calibration import (
    CURVES,
    BetaCalibration,
    Calibration,
    IsotonicCalibration,
    as_json,
    fit_calibration,
    from_json,
    log_loss,
)


def planted(curve, count=60_000, seed=0):
    """Lifts, what happened, fold and group; receivers take an offer with probability ``sigmoid(curve(lift))``."""
    rng = np.random.default_rng(seed)
    lift = rng.normal(0, 2, count).astype(np.float32)
    taken = rng.random(count) < expit(curve(lift))
    group = np.arange(count) // 50
    return lift, taken, (group % 3).astype(np.int32), group.astype(np.int32)


def test_a_straight_line_stays_a_line():
    found = fit_calibration(*planted(lambda lift: 1.5 * lift - 2))
    assert found.kind == "platt"
    assert (found.slope, found.intercept) == (pytest.approx(1.5, abs=0.1), pytest.approx(-2, abs=0.1))


def test_a_bend_is_found():
    """Flat below an even share, steep above it."""
    lift, taken, fold, group = planted(lambda lift: np.where(lift > 0, 2.5 * lift, 0.2 * lift) - 2)
    found = fit_calibration(lift, taken, fold, group)
    assert found.kind in {"beta", "isotonic"}
    fresh, happened, _, _ = planted(lambda lift: np.where(lift > 0, 2.5 * lift, 0.2 * lift) - 2, seed=1)
    line = CURVES["platt"](lift, taken.astype(float))
    ours, theirs = (log_loss(curve.of_lift(fresh), happened.astype(float)).mean() for curve in (found, line))
    assert ours < theirs


@pytest.mark.parametrize("kind", CURVES)
def test_every_curve_is_strictly_increasing(kind):
    lift, taken, _, _ = planted(lambda lift: np.where(np.abs(lift) < 1, -2.0, np.sign(lift) * 3 - 2))  # with a plateau
    found = CURVES[kind](lift, taken.astype(float))
    assert found.kind == kind
    steps = np.diff(found.log_odds(np.linspace(-12, 12, 4001).astype(np.float32)))
    assert (steps > 0).all()


@pytest.mark.parametrize("kind", CURVES)
def test_every_curve_comes_back_from_json(kind):
    lift, taken, _, _ = planted(lambda lift: lift - 1)
    found = CURVES[kind](lift, taken.astype(float))
    again = from_json(as_json(found))
    assert again == found
    np.testing.assert_array_equal(again.of_lift(lift), found.of_lift(lift))


def test_curves_that_change_the_order_are_refused():
    for wrong in (
        BetaCalibration(1.0, 0.0, 9, above=0.0),
        BetaCalibration(1.0, 0.0, 9, unit=float("nan")),
        IsotonicCalibration(1.0, 0.0, 9, lifts=(0.0, 1.0), odds=(1.0, 0.5)),
        IsotonicCalibration(1.0, 0.0, 9, lifts=(1.0, 0.0), odds=(0.0, 0.5)),
        IsotonicCalibration(1.0, 0.0, 9),
        Calibration(-1.0, 0.0, 9),
    ):
        with pytest.raises(ValueError, match="does not keep the order"):
            wrong.checked()


def test_beta_by_hand():
    """Unit 1: slope 2 on log s = log(1/2), slope 1 on -log(1 - s) = log 2 at an even share, intercept 3."""
    found = BetaCalibration(2.0, 3.0, 9, above=1.0)
    assert float(found.log_odds(np.zeros(1, np.float32))[0]) == pytest.approx(3 - np.log(2), abs=1e-6)
