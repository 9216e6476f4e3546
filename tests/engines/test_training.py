from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.data.features import FEATURES, pair_features
from ism.data.votes import reachable, vote_index
from ism.engines.base import Snapshot
from ism.engines.training import folds, queries, questions, ranking_problem
from ism.testing.sample import WordEncoder, sample


@pytest.fixture(scope="module")
def case():
    return sample(WordEncoder())


@given(st.lists(st.integers(-3, 12), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 5))
def test_folds_never_split_a_group(groups, count, seed):
    groups = np.asarray(groups, dtype=np.int32)
    fold_of = folds(groups, count, seed)
    assert fold_of.shape == groups.shape
    assert ((fold_of >= 0) & (fold_of < count)).all()
    assert all(len(set(fold_of[groups == group])) == 1 for group in set(groups.tolist()))
    assert len(set(fold_of)) == min(count, len(set(groups.tolist())))  # no fold is empty without need
    np.testing.assert_array_equal(fold_of, folds(groups, count, seed))


def test_folds_are_even_and_depend_on_the_seed():
    groups = np.repeat(np.arange(30, dtype=np.int32), 4)
    assert np.bincount(folds(groups, 5, 0)).tolist() == [24] * 5
    assert not np.array_equal(folds(groups, 5, 0), folds(groups, 5, 1))
    uneven = np.asarray([0] * 9 + [1] * 5 + [2] * 3 + [3], dtype=np.int32)
    assert sorted(np.bincount(folds(uneven, 2, 0)).tolist()) == [9, 9]


def test_queries_are_distinct_offers_with_all_their_takers(case):
    asked = queries(case.snapshot)
    past = case.built.market.precedents
    assert len(asked.takers) == len(asked.offers) == len(asked.groups) == 40  # one offer of each donor
    assert sum(map(len, asked.takers)) == len(past)
    donor_of = {}
    for row, group in enumerate(case.built.groups.tolist()):
        donor_of.setdefault(group, set()).add(row)
    for query, group in enumerate(asked.groups.tolist()):
        rows = sorted(donor_of[group])
        assert asked.takers[query].tolist() == sorted(past.receiver[rows].tolist())
        np.testing.assert_array_equal(asked.offers.vectors[query], past.vectors[rows[0]])
        assert asked.offers.ewc[query].tolist() == past.ewc[rows[0]].tolist()
    assert np.isnan(asked.offers.quantity).all()


def test_the_same_offer_in_two_groups_is_two_queries(case):
    market = case.built.market.keeping(np.asarray([0, 1]))
    alone = queries(Snapshot(market, np.asarray([0, 0], dtype=np.int32)))
    apart = queries(Snapshot(market, np.asarray([0, 1], dtype=np.int32)))
    assert len(apart.takers) == 2
    assert len(alone.takers) == 2  # their donors' places differ


def test_no_pair_sees_its_own_fold(case):
    """Each group is planted at a latitude of its own, so that a describer can tell whose cases it sees."""
    past, groups = case.built.market.precedents, case.built.groups
    market = replace(case.built.market, precedents=replace(past, latitude=groups.astype(np.float32)))
    shown: list[int] = []

    def describe(part):
        shown.append(len(part.precedents))
        return lambda offers, _rows: np.broadcast_to(
            np.isin(offers.latitude, part.precedents.latitude).astype(np.float32)[:, None, None],
            (len(offers), len(part.receivers), 1),
        )

    problem = ranking_problem(Snapshot(market, groups), describe, 0, 0)
    assert sum(len(groups) - count for count in shown) == len(groups)  # each precedent is left out once
    assert len(problem.sizes) >= 40
    assert not problem.features.any()


def test_a_receiver_with_a_single_precedent_is_described_without_it(case):
    """Seen with it, its share of the votes would be above zero exactly where it is the answer."""
    past = case.built.market.precedents
    rows = np.asarray([0, 7, 14, 21, 28])  # five donors, five receivers, one precedent each
    assert len(set(past.receiver[rows].tolist())) == 5
    snapshot = Snapshot(case.built.market.keeping(rows), np.arange(5, dtype=np.int32))
    problem = ranking_problem(snapshot, describe_pairs, FEATURES.index("any@receiver"), 0)
    own = problem.features[problem.relevant, FEATURES.index("any@receiver")]
    assert len(own)
    assert not own.any()


def describe_pairs(market):
    return lambda offers, rows: pair_features(market, vote_index(market), offers, rows)


def test_ranking_problem_is_well_formed(case):
    problem = ranking_problem(case.snapshot, describe_pairs, 0, 0, max_pairs=10)
    assert problem.sizes.sum() == len(problem.features) == len(problem.relevant)
    starts = np.concatenate([[0], np.cumsum(problem.sizes)[:-1]])
    right = np.add.reduceat(problem.relevant.astype(int), starts)
    assert (right >= 1).all()
    assert (problem.sizes - right).max() == 10
    again = ranking_problem(case.snapshot, describe_pairs, 0, 0, max_pairs=10)
    np.testing.assert_array_equal(again.features, problem.features)
    few = ranking_problem(case.snapshot, describe_pairs, 0, 0, max_queries=6)
    assert 6 <= len(few.sizes) <= 12  # of each query, companies and sectors are asked for


def test_the_hardest_wrong_receivers_are_kept(case):
    size = len(case.built.market.receivers)

    def describe(_market):
        hardness = np.arange(size, dtype=np.float32)
        return lambda offers, _rows: np.broadcast_to(hardness[None, :, None], (len(offers), size, 1))

    problem = ranking_problem(case.snapshot, describe, 0, 0, max_pairs=4)
    hardest = {float(rows.max()) for rows in np.split(problem.features[:, 0], np.cumsum(problem.sizes)[:-1])}
    known = np.flatnonzero(reachable(case.built.market))
    sector = case.built.market.receivers.sector
    assert float(known[sector[known]].max()) in hardest
    assert float(known[~sector[known]].max()) in hardest


@pytest.mark.parametrize("groups", [[], [0, 0, 0]])
def test_fewer_than_two_groups_teach_nothing(case, groups):
    rows = np.arange(len(groups), dtype=np.intp)
    snapshot = Snapshot(case.built.market.keeping(rows), np.asarray(groups, dtype=np.int32))
    assert ranking_problem(snapshot, describe_pairs, 0, 0) is None


def test_questions_ask_of_companies_and_of_sectors(case):
    market, row_of = case.built.market, case.built.row_of
    home = market.receivers
    known = np.ones(len(home), dtype=bool)
    taker, sector = row_of["taker-0-0"], row_of["nace:23.51"]
    (firms_right, firms), (sectors_right, sectors) = questions(market, np.asarray([taker]), known)
    assert firms_right.tolist() == [taker]
    assert firms.tolist() == np.flatnonzero(~home.sector).tolist()
    assert sectors_right.tolist() == [sector]
    assert sectors.tolist() == np.flatnonzero(home.sector).tolist()

    [(right, pool)] = questions(market, np.asarray([sector]), known)  # no company took it
    assert (right.tolist(), pool.tolist()) == ([sector], sectors.tolist())

    without_class = row_of["taker-7-3"]
    [(right, _)] = questions(market, np.asarray([without_class]), known)
    assert right.tolist() == [without_class]  # of its sector nothing is known

    known[taker] = False
    [(right, pool)] = questions(market, np.asarray([taker]), known)  # nothing leads to it, but its sector can be told
    assert right.tolist() == [sector]
    assert not questions(market, np.asarray([taker]), np.zeros(len(home), dtype=bool))
