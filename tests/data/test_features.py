"""Features against numbers worked out by hand on a market of five receivers and four precedents."""

import gc
import weakref
from dataclasses import replace
from math import exp, log1p, sqrt

import numpy as np
import pytest

from ism.data.features import FEATURES, KERNELS, LEVELS, need_similarity, pair_features, voted_receivers
from ism.data.market import Market, OfferArrays, Precedents, Receivers, ewc_levels, nace_levels
from ism.data.votes import reachable, vote_index
from ism.testing.sample import WordEncoder, sample

NORTH_100KM = 50 + 100 / 111.19508  # one degree of latitude on the sphere
NAN = float("nan")
KILN, PLANT, FARM, SECTOR, UNKNOWN = range(5)


def column(*values):
    return np.float32(values)


@pytest.fixture
def market() -> Market:
    receivers = Receivers(
        ids=["kiln", "plant", "farm", "nace:23.51", "unknown"],
        names=["Kiln", "Plant", "Farm", "Cement", "Unknown"],
        kinds=["company", "company", "company", "sector", "company"],
        nace=nace_levels(["23.51", "23.52", "10.91", "23.51", None]),
        latitude=column(50, NORTH_100KM, NAN, NAN, 50),
        longitude=column(8, 8, 8, NAN, 8),
        countries=[""] * 5,
        needs=np.float32([[0, 1], [0.6, 0.8], [1, 0]]),
        need_owner=np.asarray([KILN, KILN, SECTOR]),
        need_texts=["slag", "grain", "ash"],
    )
    precedents = Precedents(
        receiver=np.asarray([KILN, KILN, PLANT, FARM]),
        vectors=np.float32([[1, 0], [0, 1], [1, 0], [0.6, 0.8]]),
        ewc=ewc_levels(["10 01 02", "10 02 01", "10 01 03", None]),
        donor_nace=nace_levels(["35.11", "24.10", "35.30", None]),
        receiver_nace=nace_levels(["23.51", "23.51", "23.52", "10.91"]),
        latitude=column(50, NORTH_100KM, NAN, 50),
        longitude=column(8, 8, 8, 8),
        texts=["ash", "slag", "ash", "grain"],
        references=["a", "b", "c", "d"],
        sources=[""] * 4,
    )
    return Market(receivers, precedents)


def offers(ewc="10 01 02", nace="35.11", latitude=50.0) -> OfferArrays:
    unknown = column(NAN)
    return OfferArrays(
        np.float32([[1, 0]]), ewc_levels([ewc]), nace_levels([nace]), column(latitude), column(8), unknown
    )


def feature(market, name, asked=None, rows=None):
    found = pair_features(market, vote_index(market), asked or offers(), rows)
    return found[0, :, FEATURES.index(name)]


SLAG, GRAIN = exp(-10), exp(-4)  # votes of texts with cosine 0 and 0.6
ALL = 1 + SLAG + GRAIN
CO_ASH, CO_SLAG, CO_GRAIN = (1 + SLAG / sqrt(2)) / ALL, (1 / sqrt(2) + SLAG) / ALL, GRAIN / ALL

# What each precedent's vote weighs, in their order.
VOTES = {
    "any": (1, 1, 1, 1),
    "text": (1, SLAG, 1, GRAIN),
    "same_text": (1, 0, 1, 0),
    "co_taken": (CO_ASH, CO_SLAG, CO_ASH, CO_GRAIN),
    "ewc_code": (1, 0, 0, 0),
    "ewc_subchapter": (1, 0, 1, 0),
    "ewc_chapter": (1, 1, 1, 0),
    "donor_class": (1, 0, 0, 0),
    "donor_division": (1, 0, 1, 0),
    "text_donor": (1, 0.2 * SLAG, 1, 0.2 * GRAIN),
    "ewc_donor": (1, 0, 1, 0),
    "near_20km": (1, exp(-5), 0, 1),
    "near_100km": (1, exp(-1), 0, 1),
    "near_400km": (1, exp(-0.25), 0, 1),
    "text_near": (1, SLAG * exp(-1), 0, GRAIN),
    "same_text_near": (1, 0, 0, 0),
    "co_taken_near": (CO_ASH, CO_SLAG * exp(-1), 0, CO_GRAIN),
    "donor_near": (1, 0, 0, 0),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_votes_are_shares_of_all_votes_and_one(market, kernel):
    kiln, slag, plant, farm = VOTES[kernel]
    total = kiln + slag + plant + farm + 1
    at_receiver = np.asarray([kiln + slag, plant, farm, 0, 0]) / total
    at_class = np.asarray([kiln + slag, plant, farm, kiln + slag, 0]) / total
    at_division = np.asarray([kiln + slag + plant] * 2 + [farm, kiln + slag + plant, 0]) / total
    for level, expected in zip(LEVELS, (at_receiver, at_class, at_division), strict=True):
        np.testing.assert_allclose(feature(market, f"{kernel}@{level}"), expected, rtol=2e-3, atol=1e-6)


USUAL_KILN, USUAL_PLANT = log1p(100) / 2, 0.0  # the plant's only donor has no known place


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("need_similarity", [0.6, 0, 0, 1, 0]),
        ("distance_log_km", [0, log1p(100), 0, 0, 0]),
        ("distance_known", [1, 1, 0, 0, 1]),
        ("usual_distance", [USUAL_KILN, USUAL_PLANT, 0, 0, 0]),
        ("distance_excess", [-USUAL_KILN, 0, 0, 0, 0]),
        ("same_division", [0, 0, 0, 0, 0]),
        ("text_best", [1, 1, 0.6, 0, 0]),
        ("ewc_best", [1, 0.5, 0, 0, 0]),
    ],
)
def test_pair_features(market, name, expected):
    np.testing.assert_allclose(feature(market, name), expected, atol=3e-4)


def test_same_division(market):
    assert feature(market, "same_division", offers(nace="23.99")).tolist() == [1, 1, 0, 1, 0]
    assert feature(market, "same_division", offers(nace=None)).tolist() == [0, 0, 0, 0, 0]


def test_what_is_unknown_meets_nothing(market):
    """Neither do two unknown codes agree, nor has an offer without a place a distance."""
    nothing = offers(None, None, NAN)
    features = pair_features(market, vote_index(market), nothing)
    assert np.isfinite(features).all()
    for name in (*(n for n in FEATURES if n.startswith(("ewc", "donor", "near", "text_near"))), "distance_known"):
        assert not feature(market, name, nothing).any(), name


def test_rows_pick_from_all(market):
    index, asked = vote_index(market), offers()
    rows = np.asarray([SECTOR, KILN, KILN, UNKNOWN])
    everything = np.array(pair_features(market, index, asked))
    np.testing.assert_array_equal(pair_features(market, index, asked, rows), everything[:, rows])


def test_need_similarity_of_rows_is_that_of_all():
    case = sample(WordEncoder())
    everything = need_similarity(case.built.market, case.offers)
    home = case.built.market.receivers
    for owner in np.unique(home.need_owner):
        mine = case.offers.vectors @ home.needs[home.need_owner == owner].T
        np.testing.assert_allclose(everything[:, owner], mine.max(axis=1), atol=1e-6)
    rng = np.random.default_rng(5)
    for size in (0, 1, 7, 200):
        rows = rng.integers(0, len(home), size)
        found = need_similarity(case.built.market, case.offers, rows)
        np.testing.assert_allclose(found, everything[:, rows], atol=1e-6)


def test_nobody_is_voted_for_in_an_empty_market(market):
    none = np.zeros(0, dtype=np.intp)
    bare = market.keeping(none)
    features = pair_features(bare, vote_index(bare), offers())
    votes = features[:, :, : len(KERNELS) * len(LEVELS)]
    assert features.shape == (1, 5, len(FEATURES))
    assert not votes.any()
    assert voted_receivers(bare, vote_index(bare), offers(), 3).tolist() == []
    assert pair_features(market, vote_index(market), offers().take(none)).shape == (0, 5, len(FEATURES))


def test_reachable_receivers_have_a_need_or_a_precedent(market):
    assert reachable(market).tolist() == [True, True, True, True, False]
    assert reachable(market.keeping(np.zeros(0, dtype=np.intp))).tolist() == [True, False, False, True, False]


def test_voted_receivers_have_the_most_votes(market):
    assert voted_receivers(market, vote_index(market), offers(), 1).tolist() == [KILN]
    assert voted_receivers(market, vote_index(market), offers(), 9).tolist() == [KILN, PLANT, FARM]


def test_the_last_answer_is_given_only_to_the_same_question(market):
    index, asked, rows = vote_index(market), offers(), np.asarray([KILN, FARM])
    first = pair_features(market, index, asked, rows)
    assert pair_features(market, index, offers(), rows.copy()) is first  # equal questions
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = 9.0
    rows[0] = PLANT
    second = pair_features(market, index, asked, rows)
    np.testing.assert_array_equal(second, pair_features(market, index, offers(), np.asarray([PLANT, FARM])))
    assert not np.array_equal(second, first)
    asked.vectors[:] = [[0, 1]]
    assert not np.array_equal(pair_features(market, index, asked, rows), second)
    other = replace(market, generation=1)
    changed = replace(other, receivers=replace(other.receivers, nace=nace_levels(["10.91"] * 5)))
    assert not np.array_equal(
        pair_features(changed, vote_index(changed), asked, rows), pair_features(market, index, asked, rows)
    )


def test_neither_index_nor_last_answer_keeps_an_old_market_alive(market):
    other = Market(market.receivers, market.precedents)
    pair_features(other, vote_index(other), offers())
    assert vote_index(other) is vote_index(other)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None
