"""The ledger says what the noise guarantees, and the noise is really there."""

import numpy as np
import pytest

from ism.engines.federated.learning import site_update
from ism.engines.federated.model import Parameters, bins_of_market
from ism.engines.federated.plan import Plan
from ism.engines.federated.privacy import NO_NOISE, ledger, noise_for
from ism.engines.federated.sites import prepared
from ism.testing.sample import WordEncoder, sample

CASE = sample(WordEncoder())
BINS = bins_of_market(CASE.built.market)


@pytest.mark.parametrize(("epsilon", "mechanisms"), [(8.0, 20), (1.0, 5)])
def test_noise_and_ledger_agree(epsilon, mechanisms):
    spent = ledger(noise_for(epsilon, 1e-5, mechanisms), 1.0, mechanisms, 1e-5)
    assert spent.epsilon == pytest.approx(epsilon, rel=0.01)
    assert "exchange record" in spent.sentence()


def test_less_noise_and_more_rounds_spend_more():
    base = ledger(3.0, 1.0, 10, 1e-5).epsilon
    assert ledger(2.0, 1.0, 10, 1e-5).epsilon > base
    assert ledger(3.0, 1.0, 20, 1e-5).epsilon > base


def test_without_noise_there_is_no_guarantee_and_it_says_so():
    spent = ledger(0.0, 1.0, 20, 1e-5)
    assert spent.epsilon is None
    assert spent.sentence() == NO_NOISE


def test_a_site_adds_noise_of_the_planned_size():
    plan = Plan.of({"epsilon": 4.0, "rounds": 10})
    examples, start = prepared(CASE.snapshot, BINS, private=True), Parameters.initial(BINS)
    bare = examples.gradient(start, plan.clip)
    found = site_update(examples, start, plan, 0.0, np.random.default_rng(0)).plus(start, -1.0)
    noise = (found.factors * len(examples) - bare.factors).ravel()
    assert noise.std() == pytest.approx(plan.noise * plan.clip, rel=0.02)
    assert abs(noise.mean()) < 4 * plan.noise * plan.clip / np.sqrt(noise.size)
    pair = found.pair * len(examples) - bare.pair
    assert np.abs(pair).min() > 0  # also on weights whose gradient is zero


def test_fedprox_stays_closer_to_the_global_parameters():
    examples, start = prepared(CASE.snapshot, BINS, private=False), Parameters.initial(BINS)
    lengths = []
    for pull in (0.0, 0.05, 0.5):
        plan = Plan.of({"strategy": "fedprox", "local_steps": 10, "site_rate": 1.0, "proximal": pull})
        lengths.append(site_update(examples, start, plan, 0.0, np.random.default_rng(0)).plus(start, -1.0).norm)
    assert lengths[0] > lengths[1] > lengths[2] > 0
