"""Ranks and ranking metrics against hand-computed values and ranx."""

import numpy as np
import pytest

from ism.domain.errors import EngineError, InvalidInputError
from ism.engines.metrics import best_rank, best_ranks, metric, ndcg

NOBODY = np.zeros(0, dtype=np.intp)


def rows(*numbers):
    return np.asarray(numbers, dtype=np.intp)


@pytest.mark.parametrize(
    ("scores", "takers", "hidden", "expected"),
    [
        ([0.9, 0.5, 0.1], rows(0), NOBODY, 1.0),
        ([0.9, 0.5, 0.1], rows(2), NOBODY, 3.0),
        ([0.9, 0.5, 0.1], rows(2), rows(0), 2.0),  # what is hidden does not compete
        ([0.9, 0.5, 0.1], rows(2), rows(0, 2), 2.0),  # a hidden taker still counts as right
        ([0.9, 0.5, 0.1, 0.3], rows(2, 3), NOBODY, 3.0),  # the best-ranked of several
        ([0.9, 0.5, 0.5, 0.4], rows(1), NOBODY, 2.5),  # two share the places 2 and 3
        ([0.5, 0.5, 0.5, 0.5, 0.5], rows(4), NOBODY, 3.0),  # knowing nothing is the middle of all places
        ([0.5, 0.5, 0.5], rows(0, 1), NOBODY, 1.5),  # two right ones do not push each other down
        ([0.5, 0.5, 0.5], rows(0), rows(1), 1.5),
        ([0.9, 0.5], NOBODY, NOBODY, np.inf),
    ],
)
def test_rank_of_the_best_true_receiver(scores, takers, hidden, expected):
    assert best_rank(np.asarray(scores, dtype=np.float32), takers, hidden) == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused_and_not_ranked_first(bad):
    with pytest.raises(EngineError, match="finite"):
        best_rank(np.asarray([0.1, bad, 0.3]), rows(1), NOBODY)


def test_ranks_do_not_depend_on_the_order_of_the_candidates():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 5, size=40).astype(np.float64)
    order = rng.permutation(40)
    there = np.argsort(order)
    straight = best_rank(scores, rows(3, 17), rows(5, 6))
    assert best_rank(scores[order], there[[3, 17]], there[[5, 6]]) == straight


def test_each_question_has_its_own_takers():
    scores = np.asarray([[0.9, 0.1], [0.9, 0.1]])
    assert best_ranks(scores, [rows(0), rows(1)], [NOBODY, NOBODY]).tolist() == [1.0, 2.0]


def test_ndcg_by_hand():
    scores = np.asarray([0.9, 0.8, 0.7, 0.6])
    ideal = 1 + 1 / np.log2(3)
    assert ndcg(scores, rows(0, 1)) == pytest.approx(1.0)
    assert ndcg(scores, rows(1, 3)) == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)
    assert ndcg(scores, rows(3), depth=3) == 0.0
    assert ndcg(scores, NOBODY) == 0.0


def test_ndcg_of_a_tie_is_the_mean_over_its_orders():
    assert ndcg(np.asarray([0.5, 0.5]), rows(0)) == pytest.approx((1 + 1 / np.log2(3)) / 2)
    long_tie = np.full(40, 0.5)  # a method that knows nothing must not profit from the order of the rows
    expected = (1 / np.log2(np.arange(2, 12))).sum() / 40
    assert ndcg(long_tie, rows(0)) == pytest.approx(expected)
    assert ndcg(long_tie, rows(39)) == pytest.approx(expected)


def test_ndcg_agrees_with_ranx():
    ranx = pytest.importorskip("ranx")
    rng = np.random.default_rng(3)
    for _ in range(5):
        scores = rng.permutation(30).astype(float)
        takers = rng.choice(30, 4, replace=False)
        qrels = ranx.Qrels({"q": {str(row): 1 for row in takers.tolist()}})
        run = ranx.Run({"q": {str(row): float(score) for row, score in enumerate(scores)}})
        assert ndcg(scores, takers) == pytest.approx(float(ranx.evaluate(qrels, run, "ndcg@10")))


def test_metrics_by_name():
    scores = np.asarray([0.9, 0.8, 0.7])
    assert metric("mrr")(scores, rows(1)) == 0.5
    assert metric("recall@10")(scores, rows(2)) == 1.0
    assert metric("recall@10")(np.arange(12.0), rows(0)) == 0.0
    assert metric("accuracy") is metric("ndcg@10")
    with pytest.raises(InvalidInputError, match=r"metric: 'auc' .* mrr"):
        metric("auc")
