"""The arithmetic and the verdicts of the tuning benchmark."""

import numpy as np
import pytest

from bench.tuning import TITLE, _occurring, paired, section
from ism.testing.sample import WordEncoder, sample

COST = {"trials": 12, "ours": 2.1, "bare": 2.0, "overhead": 0.05, "rounds": 2, "of_rounds": [0.04, 0.07]}


def found(low: float, high: float, overhead: float = 0.05) -> dict:
    one = {"bayesian": 0.61, "random": 0.6, "defaults": 0.58, "difference": 0.01, "low": low, "high": high}
    return {
        "overhead": {**COST, "overhead": overhead},
        "against_random": {"matching": {"trials": 30, "seeds": 10, "found": one, "held_out": one}},
        "precedents": {"overhead": 305, "search": 240, "held_out": 65},
        "seconds": 1.0,
    }


def test_the_interval_is_that_of_student():
    gap = paired([3.0, 5.0, 4.0], [1.0, 2.0, 3.0])  # differences 2, 3, 1
    assert gap["difference"] == pytest.approx(2.0)
    width = 4.302652729911275 * 1.0 / np.sqrt(3)  # t(0.975, 2) times the standard error
    assert (gap["low"], gap["high"]) == (pytest.approx(2.0 - width), pytest.approx(2.0 + width))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.001, 0.02, "finds more than random search"),
        (-0.02, 0.001, "does not beat random search"),
        (-0.02, -0.001, "finds less than random search"),
    ],
)
def test_the_report_says_plainly_who_wins(low, high, words):
    text = section(found(low, high), "how it was run")
    assert text.startswith(f"## {TITLE}")
    assert "how it was run" in text
    assert words in text


def test_the_report_says_whether_the_overhead_is_met():
    assert "+5.0%, within the 5%" in section(found(0, 1), "")
    assert "+6.0%, above the 5%" in section(found(0, 1, overhead=0.06), "")


def test_only_receivers_that_occur_are_kept():
    market = sample(WordEncoder()).built.market
    fewer = _occurring(market)
    taken = {market.receivers.ids[row] for row in market.precedents.receiver}
    assert set(fewer.receivers.ids) == taken
    assert [fewer.receivers.ids[row] for row in fewer.precedents.receiver] == [
        market.receivers.ids[row] for row in market.precedents.receiver
    ]
    assert (np.diff(fewer.precedents.receiver) >= 0).all()
