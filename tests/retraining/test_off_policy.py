import numpy as np
import pytest

from ism.data import public
from ism.data.public import open_bandit
from ism.domain.errors import InvalidInputError
from ism.retraining.off_policy import Logged, doubly_robust, ips, policy_gap, snips

FOLDER = public.folder()
needs_data = pytest.mark.skipif(FOLDER is None, reason="the public data sets are absent; set ISM_PUBLIC_DATA")


def logged(rewards, propensities):
    return Logged(np.asarray(rewards, float), np.asarray(propensities, float), np.arange(len(rewards)))


def test_by_hand():
    log = logged([1, 0, 1, 0], [0.5, 0.5, 0.25, 0.25])
    target = np.asarray([0.5, 0.5, 0.5, 0.0])
    assert ips(log, target).value == pytest.approx((1 + 0 + 2 + 0) / 4)
    assert snips(log, target).value == pytest.approx(3 / 4)
    assert ips(log, target).effective_sample_size == pytest.approx(16 / 6)
    predicted, expected = np.full(4, 0.5), np.full(4, 0.6)
    assert doubly_robust(log, target, predicted, expected).value == pytest.approx(0.6 + (0.5 - 0.5 + 1.0) / 4)


def test_the_policy_that_ran_is_worth_what_it_earned():
    rng = np.random.default_rng(0)
    log = logged(rng.uniform(size=500) < 0.2, rng.uniform(0.1, 1, 500))
    for estimate in (ips(log, log.propensities), snips(log, log.propensities)):
        assert estimate.value == pytest.approx(log.rewards.mean())
        assert estimate.effective_sample_size == pytest.approx(500)
    gap = policy_gap(log, log.propensities, log.propensities)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0, 0, 0))


def test_a_policy_that_would_have_shown_nothing_of_the_log_is_not_known():
    log = logged([1.0, 0.0], [0.5, 0.5])
    assert np.isnan(snips(log, np.zeros(2)).value)
    assert np.isnan(policy_gap(log, np.ones(2), np.zeros(2)).high)
    assert snips(log, np.zeros(2)).effective_sample_size == 0.0


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.1, np.nan])
def test_a_propensity_that_is_none_is_refused(bad):
    with pytest.raises(InvalidInputError, match="propensities"):
        logged([1.0, 0.0], [0.5, bad])


def shares_of(table, smoothing=1.0):
    """``[3, 80]`` how often a policy showed each item at each position."""
    counts = np.full((3, 80), smoothing)
    np.add.at(counts, (table["position"].to_numpy() - 1, table["item"].to_numpy()), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def estimates(table, shares, rates):
    """IPS, SNIPS and DR of a policy with these shares, where ``rates`` is what a model expects of each item."""
    place, item = table["position"].to_numpy() - 1, table["item"].to_numpy()
    log = Logged(table["click"].to_numpy().astype(float), table["propensity"].to_numpy(), np.arange(len(table)))
    target = shares[place, item]
    expected = (shares @ rates)[place]
    return [ips(log, target), snips(log, target), doubly_robust(log, target, rates[item], expected)]


@pytest.mark.public_data
@needs_data
def test_intervals_cover_what_the_other_policy_really_earned():
    """The click rate of ``bts`` from the log of ``random``; truth is the mean of its own log, itself of 42 clicks."""
    random, bts = open_bandit.log(FOLDER, "random"), open_bandit.log(FOLDER, "bts")
    truth = bts["click"].mean()
    rates = np.full(80, random["click"].mean())
    for estimate in estimates(random, shares_of(bts), rates):
        assert estimate.low < truth < estimate.high, estimate
        assert 500 < estimate.effective_sample_size < 10_000


@pytest.mark.public_data
@needs_data
def test_intervals_cover_as_often_as_they_say():
    """Clicks drawn anew with each item's rate, so that the truth of ``bts`` is known exactly: 300 logs."""
    random, bts = open_bandit.log(FOLDER, "random"), open_bandit.log(FOLDER, "bts")
    shares = shares_of(bts)
    item = random["item"].to_numpy()
    clicks = np.bincount(item, random["click"].to_numpy(), minlength=80)
    rates = (clicks + 0.4) / (np.bincount(item, minlength=80) + 100)  # drawn towards the mean rate of 0.004
    place = random["position"].to_numpy() - 1
    truth = float((shares @ rates)[place].mean())
    rng = np.random.default_rng(0)
    covered = np.zeros(3)
    for _ in range(300):
        drawn = random.with_columns(click=(rng.uniform(size=len(random)) < rates[item]).astype(np.int64))
        found = estimates(drawn, shares, np.full(80, rates.mean()))
        covered += [one.low <= truth <= one.high for one in found]
    assert (covered / 300 > 0.90).all(), covered / 300
