import numpy as np
import pytest
from bench_fakes import market, offers

from bench import baselines
from bench.baselines import Asked, reciprocal_rank_fusion

FLY_ASH, SLAG, WHEY = [10, 1001, 100102], [10, 1002, 100202], [2, 205, 20501]
PAST = [
    (0, "coal fly ash", FLY_ASH),
    (1, "coal fly ash", FLY_ASH),
    (1, "blast furnace slag", SLAG),
    (1, "steel slag", SLAG),
    (2, "sweet whey", WHEY),
    (2, "acid whey", WHEY),
]
NAMES = ["brick works", "cement works", "dairy", "nobody's"]


def asked(text, ewc=(-1, -1, -1), place=(np.nan, np.nan)):
    return Asked(offers([text], ewc=[ewc], places=[place]), [text])


def order(scores):
    return np.argsort(-scores[0], kind="stable").tolist()


def test_popularity_counts_and_does_not_look_at_the_offer():
    past = market(NAMES, PAST)
    assert baselines.popularity(past, asked("whey")).tolist() == [[1, 3, 2, 0]]


@pytest.mark.parametrize(
    ("ewc", "expected"),
    [
        (FLY_ASH, [1, 0, 2, 3]),  # both took the code once: the popular first; then popularity
        ([10, 1001, 100199], [1, 0, 2, 3]),  # unknown code: its subchapter
        ([10, 1099, 109999], [1, 0, 2, 3]),  # unknown subchapter: its chapter, which the cement works took three times
        (WHEY, [2, 1, 0, 3]),
        ([-1, -1, -1], [1, 2, 0, 3]),  # no code: popularity
        ([2, 299, -1], [2, 1, 0, 3]),
    ],
)
def test_association_falls_back_to_coarser_codes(ewc, expected):
    assert order(baselines.ewc_association(market(NAMES, PAST), asked("?", ewc))) == expected


def test_a_finer_code_outweighs_any_number_of_coarser_ones():
    past = [(0, "a", FLY_ASH), *[(1, f"slag {i}", SLAG) for i in range(50)]]
    assert order(baselines.ewc_association(market(["one", "many"], past), asked("?", FLY_ASH))) == [0, 1]


def test_codes_that_nobody_knows_do_not_agree_with_each_other():
    past = [(0, "a", [-1, -1, -1]), (1, "b", FLY_ASH), (1, "c", FLY_ASH)]
    assert order(baselines.ewc_association(market(["x", "y"], past), asked("?"))) == [1, 0]


@pytest.mark.parametrize("method", [baselines.minilm_knn, baselines.tfidf_knn, baselines.bm25_knn])
def test_neighbours_vote_for_who_took_the_like(method):
    past = market(NAMES, PAST)
    assert order(method(past, asked("sour whey")))[0] == 2
    assert order(method(past, asked("furnace slag")))[0] == 1


@pytest.mark.parametrize("method", [baselines.tfidf_knn, baselines.bm25_knn, baselines.same_material])
def test_where_the_text_says_nothing_popularity_answers(method):
    past = market(NAMES, PAST)
    assert order(method(past, asked("zzz qqq"))) == [1, 2, 0, 3]


def test_same_material_counts_the_very_name_only():
    past = market(NAMES, [*PAST[:1], (0, "coal fly ash", FLY_ASH), *PAST[1:]])
    scores = baselines.same_material(past, asked("coal fly ash"))[0]
    assert scores.round(3).tolist() == [2, 1, 0, 0]


def test_only_the_nearest_texts_vote(monkeypatch):
    monkeypatch.setattr(baselines, "NEIGHBOURS", 1)
    past = [(0, "ash", FLY_ASH), (1, "ash slag", SLAG), (2, "ash slag whey", WHEY)]
    scores = baselines.tfidf_knn(market(["a", "b", "c"], past), asked("ash"))[0]
    assert scores[0] > 0.9
    assert (scores[1:] < 1e-3).all()


def test_nearest_is_by_distance_and_the_unknown_come_last():
    places = [(50.0, 8.0), (50.0, 9.0), (np.nan, np.nan), (51.0, 30.0)]
    scores = baselines.nearest(market(NAMES, PAST, places), asked("x", place=(50.0, 8.9)))
    assert order(scores) == [1, 0, 3, 2]
    assert -scores[0][1] == pytest.approx(7.15, abs=0.05)  # a tenth of a degree at 50 degrees north


def test_hand_combination_weighs_counts_against_kilometres():
    places = [(50.0, 8.0), (50.0, 9.0), (50.0, 8.0), (50.0, 8.0)]
    past = market(NAMES, PAST, places)
    assert order(baselines.hand_combination(past, asked("sweet whey", place=(50.0, 8.0))))[0] == 2
    far = market(NAMES, PAST, [(50.0, 8.0), (50.0, 9.0), (50.0, 40.0), (50.0, 8.0)])
    assert order(baselines.hand_combination(far, asked("sweet whey", place=(50.0, 8.0))))[-1] == 2


def test_rank_fusion_by_hand():
    fused = reciprocal_rank_fusion([np.asarray([[9.0, 5.0, 1.0]]), np.asarray([[2.0, 2.0, 7.0]])])
    assert fused[0] == pytest.approx([1 / 61 + 1 / 62.5, 1 / 62 + 1 / 62.5, 1 / 63 + 1 / 61])


def test_rank_fusion_takes_the_named_methods_only():
    past = market(NAMES, PAST)
    methods = {"popularity": baselines.popularity, "ewc": baselines.ewc_association}
    scores = baselines.all_scores(methods, ["ewc"], past, asked("?", WHEY))
    assert set(scores) == {"popularity", "ewc", "rrf"}
    assert order(scores["rrf"]) == order(scores["ewc"])
