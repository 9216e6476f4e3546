import json
from dataclasses import replace

import numpy as np
import pytest
from retraining_fakes import comparison
from scipy import stats

from ism.retraining.alpha_spending import level
from ism.retraining.comparison import Comparison, GatePolicy
from ism.retraining.gate import decide
from ism.retraining.off_policy import OffPolicyEstimate
from ism.retraining.report import gate_report

POLICY = GatePolicy()
QUICK = GatePolicy(draws=300)  # for many seeds; the bounds of Student's t are there as always
FIRST = level([], POLICY.alpha)


def better(seed: int = 1, **changes) -> Comparison:
    return comparison(np.random.default_rng(seed), gain=0.2, **changes)


def verdict(found: Comparison) -> str:
    return decide(found, POLICY, FIRST).verdict


def named(found: Comparison, name: str):
    return next(check for check in decide(found, POLICY, FIRST).checks if check.name == name)


def test_a_clear_gain_passes_every_check():
    decision = decide(better(), POLICY, FIRST)
    assert decision.verdict == "PASS"
    assert {check.name for check in decision.checks} == {
        "evidence", "better", "slices", "influence", "off_policy", "calibration", "coverage", "latency",
    }  # fmt: skip
    assert decision.reasons == []


def test_no_difference_holds_and_a_loss_is_rejected():
    assert verdict(comparison(np.random.default_rng(0))) == "HOLD"
    assert named(comparison(np.random.default_rng(0), gain=-0.2), "better").verdict == "REJECT"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("evidence", {"groups": np.zeros(200)}),
        ("evidence", {"groups": np.zeros(199)}),
        ("evidence", {"champion": None}),
        ("slices", {"slices": {}}),
        ("influence", {"raters": np.zeros(200)}),
        ("off_policy", {"off_policy": None}),
        ("off_policy", {"off_policy": OffPolicyEstimate("SNIPS", np.nan, np.nan, np.nan, 100.0, 200)}),
        ("calibration", {"happened": np.zeros(0)}),
    ],
)
def test_what_is_missing_holds_with_the_reason(name, changes):
    found = replace(better(), **changes)
    assert verdict(found) == "HOLD"
    check = named(found, name)
    assert (check.verdict, bool(check.reason)) == ("HOLD", True)


@pytest.mark.parametrize("part", ["gains", "probabilities", "seconds"])
def test_a_number_that_is_none_holds(part):
    found = better()
    values = getattr(found.challenger, part).copy()
    values[:] = np.nan
    assert verdict(replace(found, challenger=replace(found.challenger, **{part: values}))) == "HOLD"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("coverage", {"receivers_shown": 39}),
        ("latency", {"seconds": np.full(200, 0.26)}),
        ("calibration", {"probabilities": np.full(400, 0.95)}),
    ],
)
def test_a_limit_that_is_passed_rejects(name, change):
    found = better()
    found = replace(found, challenger=replace(found.challenger, **change))
    assert named(found, name).verdict == "REJECT"
    assert verdict(found) == "REJECT"


def test_a_veto_of_the_log_rejects_unless_the_log_is_worth_too_little():
    against = OffPolicyEstimate("SNIPS", -0.02, -0.03, -0.01, 80.0, 500)
    assert verdict(replace(better(), off_policy=against)) == "REJECT"
    assert verdict(replace(better(), off_policy=replace(against, effective_sample_size=49.0))) == "PASS"


def test_a_gain_that_costs_one_slice_is_rejected():
    found = better()
    hurt = found.groups < 10
    gains = found.challenger.gains.copy()
    gains[hurt] -= 0.6
    found = replace(found, challenger=replace(found.challenger, gains=gains), slices={"hurt": hurt, "others": ~hurt})
    assert named(found, "slices").verdict == "REJECT"


def test_a_gain_of_a_single_loud_rater_holds():
    rng = np.random.default_rng(5)
    found = comparison(rng, gain=0.0, companies=60, each=3)
    gains = found.champion.gains + rng.normal(0, 0.01, 180)
    raters = found.groups.copy()
    raters[::3] = 999  # one rater speaks in every company
    gains[::3] += 0.3
    found = replace(found, challenger=replace(found.challenger, gains=gains), raters=raters)
    assert named(found, "better").verdict == "PASS"
    assert named(found, "influence").verdict == "HOLD"


def test_the_first_model_must_beat_every_plain_method():
    found = better()
    weak = found.champion.gains
    first = replace(found, champion=None, references={"popularity": weak, "rules": weak})
    assert verdict(first) == "PASS"
    assert verdict(replace(first, references={"popularity": weak, "rules": found.challenger.gains})) == "HOLD"
    assert decide(first, POLICY, FIRST).first


def test_evidence_is_json_and_a_page():
    decision = decide(replace(better(), off_policy=None), POLICY, FIRST)
    stored = json.loads(json.dumps(decision.as_dict(), allow_nan=False))
    assert stored["verdict"] == "HOLD"
    page = gate_report(stored, {"model": "matching"})
    assert "# Gate: HOLD" in page
    assert "was not looked at" in page
    assert "| even |" in page


def promoted(seed: int, gain: float, looks: int, companies: int = 30) -> bool:
    """Whether one of several looks promotes, each with more of the same growing data."""
    rng = np.random.default_rng(seed)
    whole = comparison(rng, gain=gain, companies=companies * looks, each=2)
    past: list[bool] = []
    for look in range(1, looks + 1):
        mask = whole.groups < companies * look
        part = replace(
            whole,
            challenger=replace(whole.challenger, gains=whole.challenger.gains[mask]),
            champion=replace(whole.champion, gains=whole.champion.gains[mask]),
            groups=whole.groups[mask],
            raters=whole.raters[mask],
            slices={name: values[mask] for name, values in whole.slices.items()},
        )
        past.append(decide(part, QUICK, level(past, POLICY.alpha), seed).verdict == "PASS")
        if past[-1]:
            return True
    return False


@pytest.mark.parametrize("seeds", [80, pytest.param(1000, marks=pytest.mark.slow)])
def test_equal_models_are_promoted_at_most_at_alpha_however_often_one_looks(seeds):
    wrong = sum(promoted(seed, 0.0, looks=5) for seed in range(seeds))
    assert wrong <= stats.binom.ppf(0.999, seeds, POLICY.alpha)


@pytest.mark.parametrize("seeds", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_a_gain_of_ten_points_is_promoted_and_a_loss_never(seeds):
    assert sum(promoted(seed, 0.10, looks=3, companies=60) for seed in range(seeds)) >= 0.9 * seeds
    assert sum(promoted(seed, -0.10, looks=3) for seed in range(seeds)) == 0


@pytest.mark.parametrize("seeds", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_a_fifth_of_colluding_raters_promotes_no_worse_model_and_an_honest_gain_is_promoted(seeds):
    """With the share of raters that may be dropped set to what is feared; the colluders get all they ask for."""
    careful = GatePolicy(dropped_raters=0.2, draws=300)
    wrong = right = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        found = comparison(rng, gain=-0.05, companies=150, each=5)
        gains = found.challenger.gains.copy()
        gains[np.isin(found.groups, rng.permutation(150)[:30])] += 1.0
        poisoned = replace(found, challenger=replace(found.challenger, gains=gains))
        assert decide(poisoned, QUICK, FIRST).checks[1].verdict == "PASS"  # the mean alone is fooled
        wrong += decide(poisoned, careful, FIRST).verdict == "PASS"
        right += decide(comparison(rng, gain=0.1, companies=150, each=5), careful, FIRST).verdict == "PASS"
    assert wrong == 0
    assert right >= 0.9 * seeds
