"""Fusion of ranked lists against fractions computed by hand, and against `ranx` on random lists."""

import numpy as np
import pytest

from ism.domain.errors import InvalidInputError
from ism.fusion.lists import METHODS, NORMALISATIONS, ranked_lists, ranking
from ism.fusion.lists.comb import weighted

GIVEN = ranked_lists([{"a": 4.0, "b": 3.0, "c": 1.0}, {"b": 2.0, "d": 1.0}])  # items in order a b c d
L = np.log(2)
BY_HAND = {
    "rrf": [1 / 61, 1 / 62 + 1 / 61, 1 / 63, 1 / 62],
    "isr": [1, 2 * (1 / 4 + 1), 1 / 9, 1 / 4],
    "log_isr": [0, L * (1 / 4 + 1), 0, 0],
    "bordafuse": [4 + 1.5, 3 + 4, 2 + 1.5, 1 + 3],
    "sum": [4, 5, 1, 1],
    "mnz": [4, 10, 1, 1],
    "min": [4, 2, 1, 1],
    "max": [4, 3, 1, 1],
    "med": [4, 5 / 2, 1, 1],
    "anz": [4, 5 / 2, 1, 1],
}
NORMALISED = {
    "min-max": [1, 2 / 3, 0, 1, 0],
    "max": [1, 3 / 4, 1 / 4, 1, 1 / 2],
    "sum": [3 / 5, 2 / 5, 0, 1, 0],
    "zmuv": [(4 / 3) / (14 / 9) ** 0.5, (1 / 3) / (14 / 9) ** 0.5, (-5 / 3) / (14 / 9) ** 0.5, 1, -1],
    "rank": [1, 2 / 3, 1 / 3, 1, 1 / 2],
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_by_hand(name):
    np.testing.assert_allclose(METHODS[name](GIVEN), BY_HAND[name], atol=1e-12)


@pytest.mark.parametrize("name", NORMALISED)
def test_normalisations_by_hand(name):
    np.testing.assert_allclose(NORMALISATIONS[name](GIVEN).score, NORMALISED[name], atol=1e-12)


def test_borda_normalisation_by_hand():
    """Of 4 items: 1, 3/4, 1/2 for the listed and 1/2 - 2/8 for d; 1, 3/4 and 1/2 - 1/8 for a and c."""
    found = NORMALISATIONS["borda"](GIVEN)
    by_item = METHODS["sum"](found)
    np.testing.assert_allclose(by_item, [1 + 3 / 8, 3 / 4 + 1, 1 / 2 + 3 / 8, 1 / 4 + 3 / 4])
    assert METHODS["min"](found).tolist() == [3 / 8, 3 / 4, 3 / 8, 1 / 4]


def test_weighted_sum_and_ranking():
    fused = weighted(GIVEN, [1.0, 3.0])
    assert fused.tolist() == [4, 9, 1, 3]
    assert [GIVEN.items[place] for place in ranking(GIVEN, fused)] == ["b", "a", "d", "c"]
    assert [GIVEN.items[place] for place in ranking(GIVEN, np.zeros(4))] == ["a", "b", "c", "d"]
    with pytest.raises(InvalidInputError, match="weights: 1"):
        weighted(GIVEN, [1.0])


def test_lists_of_one_score_and_empty_lists_are_no_trouble():
    flat = ranked_lists([{"a": 2.0, "b": 2.0}, {}])
    for scale in NORMALISATIONS.values():
        assert np.isfinite(METHODS["sum"](scale(flat))).all()
    for fuse in METHODS.values():
        assert fuse(flat).shape == (2,)


def test_bad_lists_are_refused():
    with pytest.raises(InvalidInputError, match="at least one"):
        ranked_lists([])
    with pytest.raises(InvalidInputError, match="best item first"):
        ranked_lists([{"a": 1.0, "b": 2.0}])
    with pytest.raises(InvalidInputError, match="finite"):
        ranked_lists([{"a": float("nan")}])


@pytest.mark.slow
def test_the_same_as_ranx():
    from bench.fusion_oracle import Oracle
    from ism.data.public.trec7 import Topic

    rng = np.random.default_rng(0)
    items = [f"d{number}" for number in range(30)]
    runs = []
    for _ in range(4):
        chosen = rng.choice(items, 20, replace=False)
        runs.append(dict(zip(chosen.tolist(), np.sort(rng.normal(size=20))[::-1].tolist(), strict=True)))
    peer = Oracle({"1": Topic(runs, frozenset())}, ["1"])
    given = {"1": ranked_lists(runs)}
    assert {name: row["difference"] for name, row in peer.compare(given).items() if row["difference"] > 1e-9} == {}
    assert max(peer.compare_normalisations().values()) <= 1e-9
