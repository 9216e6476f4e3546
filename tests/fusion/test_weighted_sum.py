import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.domain.errors import InvalidInputError
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS, agreement, checked, renormalised, weighted_sum

PROBABILITY = st.floats(0, 1)
OPINIONS = st.dictionaries(st.sampled_from(sorted(DEFAULT_WEIGHTS)), PROBABILITY, min_size=1)


def arrays(values, dtype=np.float64):
    return {name: np.asarray(value, dtype) for name, value in values.items()}


def test_default_weights_are_those_of_the_contract():
    assert DEFAULT_WEIGHTS == {"gnn": 0.30, "federated": 0.25, "knowledge_graph": 0.25, "matching": 0.20}


def test_hand_values():
    fused, shares = weighted_sum(arrays({"a": [0.5, 1.0], "b": [0.1, 0.2]}), {"a": 3.0, "b": 1.0, "absent": 9.0})
    np.testing.assert_allclose(shares["a"], [0.375, 0.75])
    np.testing.assert_allclose(shares["b"], [0.025, 0.05])
    np.testing.assert_allclose(fused, [0.4, 0.8])


@pytest.mark.parametrize(
    ("present", "weights", "expected"),
    [
        (["a"], {"a": 0.2, "b": 0.8}, {"a": 1.0}),
        (["a", "b"], {"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 0.4, "b": 0.6}),
        (["a", "b"], {"a": 0.0, "b": 0.0, "c": 1.0}, {"a": 0.5, "b": 0.5}),
        (["a", "b"], {"a": 0.0, "b": 2.0}, {"a": 0.0, "b": 1.0}),
    ],
)
def test_the_absent_leave_their_weight_to_the_others(present, weights, expected):
    assert renormalised(weights, present) == pytest.approx(expected)


def test_nobody_and_strangers_are_refused():
    with pytest.raises(InvalidInputError, match="at least one engine"):
        weighted_sum({}, DEFAULT_WEIGHTS)
    with pytest.raises(InvalidInputError, match=r"'oracle'.*federated, gnn"):
        renormalised(DEFAULT_WEIGHTS, ["gnn", "oracle"])


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf"), "1", None, True])
def test_bad_weights_are_refused_by_name(weight):
    with pytest.raises(InvalidInputError, match=r"weights\.gnn"):
        checked({"matching": 1, "gnn": weight})


@given(OPINIONS)
def test_shares_add_up_and_stay_in_range(opinions):
    fused, shares = weighted_sum(arrays(opinions), DEFAULT_WEIGHTS)
    assert sum(shares.values()) == pytest.approx(float(fused), abs=1e-12)
    assert min(opinions.values()) - 1e-12 <= fused <= max(opinions.values()) + 1e-12
    assert 0 <= fused <= 1
    assert 0 <= agreement(arrays(opinions), DEFAULT_WEIGHTS) <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certainty_of_all_is_one_and_no_more(dtype):
    """In float32 the default weights add up to 1.00000001."""
    fused, shares = weighted_sum(arrays(dict.fromkeys(DEFAULT_WEIGHTS, 1.0), dtype), DEFAULT_WEIGHTS)
    assert fused == 1.0
    assert fused.dtype == dtype
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-6)


def test_agreement_by_hand():
    even = {"a": 1.0, "b": 1.0}
    assert agreement(arrays({"a": 0.7, "b": 0.7}), even) == pytest.approx(1.0)
    assert agreement(arrays({"a": 0.0, "b": 1.0}), even) == pytest.approx(0.0, abs=1e-6)
    # fused 0.5, mean distance 0.1, at most 2 * 0.5 * 0.5
    assert agreement(arrays({"a": 0.6, "b": 0.4}), even) == pytest.approx(0.8)
    # weights 3:1, fused 0.4, mean distance 0.75 * 0.1 + 0.25 * 0.3 = 0.15, at most 0.48
    assert agreement(arrays({"a": 0.5, "b": 0.1}), {"a": 3.0, "b": 1.0}) == pytest.approx(1 - 0.15 / 0.48)


def test_fewer_engines_mean_less_confidence():
    assert agreement(arrays({"gnn": 0.9}), DEFAULT_WEIGHTS) == pytest.approx(0.30)
    assert agreement(arrays({"knowledge_graph": 0.9, "matching": 0.9}), DEFAULT_WEIGHTS) == pytest.approx(0.45)
