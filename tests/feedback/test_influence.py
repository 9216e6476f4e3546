import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.influence import capped, capped_influence

voices = st.lists(st.tuples(st.sampled_from([0.0]) | st.floats(1e-3, 1e6), st.integers(0, 11)), max_size=40)


def columns(rows):
    return np.asarray([row[0] for row in rows], float), np.asarray([row[1] for row in rows], np.intp)


def test_one_loud_voice_by_hand():
    # c = 0.5 * (4 + c) gives c = 4.
    assert capped(np.array([8.0, 1, 1, 1, 1]), np.arange(5), 0.5).tolist() == [4.0, 1.0, 1.0, 1.0, 1.0]


def test_nobody_is_cut_below_twice_an_equal_share():
    two = np.array([9.0, 1.0])
    assert capped(two, np.arange(2), 0.05).tolist() == two.tolist()


@given(voices, st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_no_group_holds_more_than_its_share(rows, share):
    weight, group = columns(rows)
    found = capped(weight, group, share)
    assert (found <= weight).all()
    held = np.bincount(group, weight) if len(group) else np.zeros(1)
    most = max(share, 2.0 / max((held > 0).sum(), 1))
    assert np.bincount(group, found).max(initial=0) <= most * found.sum() * (1 + 1e-6) + 1e-9


@given(voices, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_once_is_enough(rows, random):
    weight, group = columns(rows)
    found = capped(weight, group, 0.1)
    order = np.asarray(random.sample(range(len(rows)), len(rows)), np.intp)
    assert capped(weight[order], group[order], 0.1) == pytest.approx(found[order], rel=1e-6)
    assert capped(found, group, 0.1) == pytest.approx(found, rel=1e-6)


@given(voices)
def test_actors_and_companies_are_held_together(rows):
    weight, actor = columns(rows)
    company = actor // 2
    found = capped_influence(weight, actor, company, 0.2, 0.4)
    if weight.sum() > 0:
        assert found.sum() > 0
        for group, share in ((actor, 0.2), (company, 0.4)):
            held = np.bincount(group, weight) > 0
            # Shares that cannot hold together are raised; six companies of two can nearly always hold.
            assert np.bincount(group, found).max() <= max(share, 2.0 / held.sum()) * 1.6 * found.sum()


def test_many_actors_of_one_company_do_not_help_it():
    weight = np.ones(100)
    actor, company = np.arange(100), np.concatenate([np.zeros(60, int), np.arange(1, 41)])
    found = capped_influence(weight, actor, company, 0.05, 0.10)
    assert found[:60].sum() == pytest.approx(0.10 * found.sum())
    assert (found[60:] == 1.0).all()
