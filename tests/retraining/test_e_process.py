import numpy as np
import pytest
from scipy import stats

from ism.retraining.e_process import ArmOutcome, canary_evidence, wealth


def outcomes(rng, champion, challenger, count, share=0.3):
    arms = rng.uniform(size=count) < share
    return [
        ArmOutcome(f"c{number}", "challenger" if arm else "champion",
                   float(rng.uniform() < (challenger if arm else champion)))
        for number, arm in enumerate(arms)
    ]  # fmt: skip


def test_wealth_by_hand():
    """Two wins of 1 against a mean of 0: the average over the stakes of (1 + stake) squared."""
    stakes = np.asarray([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])
    assert wealth(np.ones(2), 0.0)[-1] == pytest.approx(np.mean((1 + stakes) ** 2))
    assert wealth(np.zeros(0), 0.0).size == 0


def test_wealth_is_fair_where_there_is_nothing_to_win():
    rng = np.random.default_rng(0)
    ends = [wealth(rng.choice([-1.0, 1.0], size=5), 0.0)[-1] for _ in range(4000)]
    assert np.mean(ends) == pytest.approx(1.0, abs=5 * np.std(ends) / np.sqrt(4000))


@pytest.mark.parametrize("seeds", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_equal_arms_raise_a_false_alarm_at_most_at_alpha_looking_after_every_outcome(seeds):
    alarms = sum(
        canary_evidence(outcomes(np.random.default_rng(seed), 0.3, 0.3, 400), 0.05, 0.1).harm >= 20
        for seed in range(seeds)
    )
    assert alarms <= stats.binom.ppf(0.999, seeds, 0.05)


@pytest.mark.parametrize("seeds", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_an_arm_at_the_margin_is_called_safe_at_most_at_alpha(seeds):
    wrong = sum(
        canary_evidence(outcomes(np.random.default_rng(seed), 0.4, 0.3, 400), 0.05, 0.1).verdict == "safe"
        for seed in range(seeds)
    )
    assert wrong <= stats.binom.ppf(0.999, seeds, 0.05)


def test_harm_is_found_and_safety_too():
    harmed = [canary_evidence(outcomes(np.random.default_rng(s), 0.6, 0.3, 400), 0.05, 0.1).verdict for s in range(50)]
    safe = [canary_evidence(outcomes(np.random.default_rng(s), 0.3, 0.4, 1200), 0.05, 0.1).verdict for s in range(50)]
    assert harmed.count("harm") >= 45
    assert safe.count("safe") >= 45


def test_silence_says_nothing():
    nothing = canary_evidence([], 0.05, 0.1)
    assert (nothing.verdict, nothing.challenger_mean) == ("open", None)
    lonely = [ArmOutcome(f"c{n}", "champion", 1.0) for n in range(500)]
    assert canary_evidence(lonely, 0.05, 0.1).verdict == "open"


def test_a_company_counts_once():
    loud = [ArmOutcome("ring", "challenger", 0.0)] * 500
    others = [ArmOutcome(f"c{n}", "champion", 1.0) for n in range(500)]
    mixed = [one for pair in zip(loud, others, strict=True) for one in pair]
    found = canary_evidence(mixed, 0.05, 0.1)
    assert (found.verdict, found.challenger) == ("open", 1)
