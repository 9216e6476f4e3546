"""Bad updates are refused with a reason, and honest ones are not."""

import numpy as np
import pytest

from ism.engines.federated.columns import OFFER_COLUMNS, PAIR_COLUMNS
from ism.engines.federated.model import Bins, Parameters
from ism.engines.federated.plan import Plan
from ism.engines.federated.screening import Update, screened

BINS = Bins(("company:a", "company:b"))
START = Parameters.initial(BINS)
PULL = np.zeros(PAIR_COLUMNS, dtype=np.float32)
PULL[:8] = [-0.3, -0.1, 0.1, 0.1, 0.2, 0.1, 0.2, 0.1]


def update(site: str, pull: np.ndarray = PULL, examples: float = 200, factor: float = 0.01) -> Update:
    factors = np.full_like(START.factors, factor)
    return Update(site, Parameters(START.factors + factors, START.pair + pull).arrays(), examples)


HONEST = [update(f"honest {number}", PULL * (1 + 0.1 * number)) for number in range(5)]


def test_honest_updates_all_count():
    assert screened(HONEST, START, Plan.of({})) == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (update("bad", factor=float("nan")), "not finite"),
        (update("bad", factor=float("inf")), "not finite"),
        (update("bad", factor=50.0), "huge update"),
        (update("bad", -PULL), "against the other sites"),
        (update("bad", examples=-3), "-3 exchanges"),
        (update("bad", examples=2.5), "2.5 exchanges"),
        (update("bad", examples=1e12), "are not believed"),
        (update("bad", examples=float("nan")), "exchanges"),
        (Update("bad", {"factors": np.zeros((3, OFFER_COLUMNS))}, 5), "shapes"),
    ],
)
def test_a_bad_update_is_named_with_its_reason(bad, reason):
    found = screened([*HONEST, bad], START, Plan.of({}))
    assert list(found) == ["bad"]
    assert reason in found["bad"]


def test_a_minority_against_the_others_is_found_and_the_majority_is_not():
    flipped = [update(f"flipped {number}", -PULL * (1 + number)) for number in range(2)]
    assert set(screened([*HONEST, *flipped], START, Plan.of({}))) == {"flipped 0", "flipped 1"}


def test_a_tiny_site_may_differ_by_chance():
    assert screened([*HONEST, update("tiny", -PULL, examples=2)], START, Plan.of({})) == {}


def test_near_the_optimum_nobody_is_judged_by_direction():
    ways = np.eye(len(PULL), dtype=np.float32)[:6] * np.asarray([1, -1, 1, -1, 1, -1], np.float32)[:, None]
    scattered = [update(f"site {number}", way) for number, way in enumerate(ways)]
    assert screened(scattered, START, Plan.of({})) == {}


def test_of_two_that_disagree_neither_is_judged():
    assert screened([update("one"), update("other", -PULL)], START, Plan.of({})) == {}


def test_plain_averaging_refuses_only_what_cannot_be_averaged():
    given = [*HONEST, update("flipped", -PULL), update("huge", factor=50.0), update("broken", factor=float("nan"))]
    assert set(screened(given, START, Plan.of({"aggregation": "mean"}))) == {"broken"}


def test_noise_lengthens_what_an_honest_update_may_be():
    quiet, noisy = Plan.of({}), Plan.of({"epsilon": 1.0})
    assert noisy.longest_update(100, 1000, 1.0) > 5 * quiet.longest_update(100, 1000, 1.0)
