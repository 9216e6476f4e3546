"""Folds that do not leak, and scores on what was left out."""

import numpy as np
import pytest

from ism.data.votes import reachable
from ism.domain.errors import EngineError
from ism.engines.base import Snapshot
from ism.engines.matching import MatchingEngine
from ism.engines.metrics import ndcg
from ism.engines.training import queries, questions
from ism.engines.validation import FOLDS, fold_scores, split_folds, taking
from ism.testing.sample import WordEncoder, sample


@pytest.fixture(scope="module")
def snapshot():
    return sample(WordEncoder()).snapshot


@pytest.fixture(scope="module")
def timed(snapshot):
    """Each donor was active in a year of its own; one donor's year is not known."""
    times = snapshot.groups.astype(np.float64) * 100
    times[snapshot.groups == 7] = np.nan
    return Snapshot(snapshot.market, snapshot.groups, times)


def test_folds_are_whole_groups_and_cover_everything(snapshot):
    parts = split_folds(snapshot, 3, seed=0)
    assert len(parts) == 3
    assert np.array_equal(np.sort(np.concatenate([part.asked for part in parts])), np.arange(len(snapshot.groups)))
    for part in parts:
        assert not set(snapshot.groups[part.kept]) & set(snapshot.groups[part.asked])


def test_with_times_the_future_is_asked_about_and_never_learnt_from(timed):
    parts = split_folds(timed, 3, seed=0)
    assert len(parts) == 3
    for part in parts:
        assert not set(timed.groups[part.kept]) & set(timed.groups[part.asked])
        assert np.nanmax(timed.times[part.kept]) < np.nanmin(timed.times[part.asked])
    assert [len(part.kept) for part in parts] == sorted(len(part.kept) for part in parts)


def test_scores_are_those_of_a_twin_that_did_not_see_the_fold(snapshot):
    params = {"rounds": 20}
    told = []
    found = list(fold_scores(snapshot, MatchingEngine, params, "accuracy", 5, told.append))
    assert told == [True, False] * FOLDS
    part = split_folds(snapshot, FOLDS, 5)[0]
    learnt, engine = taking(snapshot, part.kept), MatchingEngine()
    engine.fit(learnt, params, 5)
    asked, values = queries(taking(snapshot, part.asked)), []
    for query, takers in enumerate(asked.takers):
        scores = engine.score(learnt.market, asked.offers.take(np.asarray([query])))[0]
        for right, pool in questions(learnt.market, takers, reachable(learnt.market)):
            values.append(ndcg(scores[pool], np.searchsorted(pool, right)))
    assert (found[0].value, found[0].questions) == (pytest.approx(np.mean(values), abs=1e-6), len(values))
    assert all(fold.fit_seconds > 0 for fold in found)


def test_nothing_to_hold_out_is_said(snapshot):
    one = taking(snapshot, np.flatnonzero(snapshot.groups == snapshot.groups[0]))
    with pytest.raises(EngineError, match="fewer than two groups"):
        list(fold_scores(one, MatchingEngine, {}))
