import numpy as np
import pytest

from ism.retraining.calibration_error import calibration_error


def test_by_hand():
    said = np.asarray([0.1, 0.1, 0.9, 0.9])
    happened = np.asarray([0.0, 1.0, 1.0, 1.0])
    assert calibration_error(said, happened, bins=2) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)


def test_honest_probabilities_beat_boasting_ones():
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=20_000) ** 4  # most are small, as in a market
    happened = (rng.uniform(size=20_000) < truth).astype(float)
    assert calibration_error(truth, happened) < 0.01
    assert calibration_error(np.sqrt(truth), happened) > 0.1


def test_nothing_said_is_not_known():
    assert np.isnan(calibration_error(np.zeros(0), np.zeros(0)))
