"""The small market for a buyer who is not listed: every engine says there what it says in the whole."""

import numpy as np
import pytest

from bench import latency
from ism.app.pairing import around, with_company
from ism.data.market import offer_arrays
from ism.domain.market import Company, Listing
from ism.engines.base import Snapshot
from ism.engines.federated import FederatedEngine
from ism.engines.gnn import GnnEngine
from ism.engines.knowledge_graph import KnowledgeGraphEngine
from ism.engines.matching import MatchingEngine
from ism.testing.sample import WordEncoder

ENCODER = WordEncoder()
BUYER = Company("new", "New Works", "23.51", "DE", 51.0, 9.0)
NEEDS = [Listing("n1", "new", "need", "coal fly ash")]


@pytest.fixture(scope="module")
def built():
    return latency.simulated(latency.Size(companies=3_000, exchanges=150, offers=0), ENCODER, seed=1)


@pytest.fixture(scope="module")
def asked():
    return offer_arrays(latency.simulated_offers(3, seed=2), ENCODER)


@pytest.mark.parametrize(
    ("make", "params"),
    [
        (MatchingEngine, {"rounds": 20}),
        (lambda: KnowledgeGraphEngine(ENCODER), {}),
        (GnnEngine, {"epochs": 1}),
        (FederatedEngine, {"rounds": 2}),
    ],
    ids=["matching", "knowledge_graph", "gnn", "federated"],
)
def test_a_part_of_the_market_scores_as_the_whole(built, asked, make, params):
    engine = make()
    taught = latency.simulated(latency.Size(companies=60, exchanges=60, offers=0), ENCODER, seed=3)
    engine.fit(Snapshot(taught.market, taught.groups), params)
    candidates = np.sort(np.random.default_rng(0).choice(3_000, 50, replace=False))
    small, place = around(built, candidates)
    assert len(small.market.receivers) < len(built.market.receivers) // 2
    whole, part = (with_company(each, BUYER, NEEDS, ENCODER) for each in (built, small))
    rows = np.append(candidates, whole.row_of["new"])
    there = np.append(place, part.row_of["new"])
    expected = engine.score(whole.market, asked, rows)
    np.testing.assert_allclose(engine.score(part.market, asked, there), expected, atol=1e-6)
    assert expected.std() > 0


def test_the_part_is_a_market_of_the_same_receivers(built):
    candidates = np.asarray([5, 17, 900], dtype=np.intp)
    small, place = around(built, candidates)
    for row, there in zip(candidates.tolist(), place.tolist(), strict=True):
        assert small.market.receivers.ids[there] == built.market.receivers.ids[row]
        assert small.companies[there] is built.companies[row]
        assert small.row_of[built.market.receivers.ids[row]] == there
    assert (np.diff(small.market.precedents.receiver) >= 0).all()


def test_a_small_market_is_used_whole():
    built = latency.simulated(latency.Size(companies=30, exchanges=10, offers=0), ENCODER, seed=1)
    everybody = np.arange(30, dtype=np.intp)
    assert around(built, everybody)[0] is built
