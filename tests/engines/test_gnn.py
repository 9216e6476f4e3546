"""The graph network: the same in torch and in numpy, exact removals, new nodes, degraded results."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ism.data.build import build_market
from ism.data.graph import offer_nodes
from ism.data.market import offer_arrays
from ism.domain.errors import ConfigurationError, EngineError
from ism.domain.market import Company, Offer
from ism.engines.base import Snapshot
from ism.engines.gnn import GnnEngine
from ism.engines.gnn.embedding import embed, utilities
from ism.engines.gnn.forward import check_weights
from ism.engines.gnn.lessons import lessons
from ism.engines.gnn.removal import Removal, utilities_without
from ism.testing.sample import WordEncoder, sample
from ism.testing.sample import _exchanges as past_exchanges

ENCODER = WordEncoder()


@pytest.fixture(scope="module")
def case():
    return sample(ENCODER)


@pytest.fixture(scope="module")
def engine(case):
    fitted = GnnEngine("cpu")
    fitted.fit(case.snapshot)
    return fitted


def test_training_gains_on_groups_kept_aside(engine):
    assert engine.training["epochs"] > 0
    assert check_weights(dict(engine._weights))["offset"] != 4.0  # where the right receivers lie, not the start


def test_numpy_computes_what_torch_computes(case, engine):
    import torch

    from ism.engines.gnn.learn import _Desk
    from ism.engines.gnn.network import GraphNetwork

    lesson = lessons(case.snapshot, 0)[0]
    network = GraphNetwork(ENCODER.dimension, 32, 0.5).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in engine._weights.items()})
    everybody = lesson.everybody
    with torch.no_grad():
        by_torch = _Desk(lesson, torch.device("cpu")).utilities(network, np.arange(len(lesson)), everybody).numpy()
    by_numpy = utilities(engine._weights, embed(engine._weights, lesson.market), lesson.offers, everybody)
    np.testing.assert_allclose(by_numpy, by_torch, atol=2e-4)


def test_a_removed_precedent_is_as_if_it_had_never_been(case, engine):
    """The quick computation around the pair equals embedding the whole market without the precedent."""
    market, weights = case.built.market, engine._weights
    embedding = embed(weights, market)
    removed = [0, 1, 3, 8, 17, 40, 63]
    without = [embed(weights, market.keeping(np.delete(np.arange(len(market.precedents)), row))) for row in removed]
    for number in (0, 3, 9, 11, 12, 14):
        one = case.offers.take(np.asarray([number]))
        joined = offer_nodes(embedding.graph, one)
        for row in (case.best, 0, 50, len(market.receivers) - 1):
            removals = [Removal(), *(Removal(precedent=past) for past in removed)]
            quick = utilities_without(weights, embedding, one, joined, np.full(len(removals), row), removals)
            whole = [utilities(weights, each, one, np.asarray([row]))[0, 0] for each in (embedding, *without)]
            np.testing.assert_allclose(quick, whole, atol=1e-4)


def test_a_removed_code_is_as_if_the_graph_did_not_know_it(case, engine):
    one = case.obvious
    embedding = embed(engine._weights, case.built.market)
    joined = offer_nodes(embedding.graph, one)
    bare = replace(joined, about={**joined.about, "waste": joined.about["waste"][:, :0]})
    bare.about["waste"].resize(joined.about["waste"].shape)
    rows = np.asarray([case.best])
    quick = utilities_without(engine._weights, embedding, one, joined, rows, [Removal(offer="waste")])
    spelled = utilities_without(engine._weights, embedding, one, bare, rows, [Removal()])
    np.testing.assert_allclose(quick, spelled, atol=1e-5)
    assert quick[0] != pytest.approx(float(utilities(engine._weights, embedding, one, rows)[0, 0]), abs=1e-3)


def test_reasons_tell_the_score_that_would_be_left(case, engine):
    reasons = engine.explain(case.built.market, case.offers, 3, case.best)
    score = engine.score(case.built.market, case.offers, np.asarray([case.best]))[3, 0]
    assert reasons
    for reason in reasons:
        assert reason.detail["score"] == pytest.approx(score, abs=1e-5)
        assert reason.strength == pytest.approx(reason.detail["score"] - reason.detail["score_without"])
        assert reason.strength > 0


def test_a_company_of_a_minute_ago_is_scored_by_its_sector_and_place(case, engine):
    """Without training again, a new cement works is worth more for fly ash than a new software house beside it."""
    firms = [company for company in case.built.companies if company is not None]
    new = [
        Company("new-cement", "New cement", "23.51", "DE", 50.1, 8.1),
        Company("new-it", "New IT", "62.01", "DE", 50.1, 8.1),
    ]
    newer = build_market([*firms, *new], (), past_exchanges(), ENCODER, classes=())
    scores = engine.score(newer.market, case.obvious)[0]
    assert scores[newer.row_of["new-cement"]] > scores[newer.row_of["new-it"]]


def test_an_offer_with_nothing_known_and_a_sector_never_seen_are_scored(case, engine):
    strange = offer_arrays([Offer("", nace="99.00", ewc="20 03 99", latitude=89.9, longitude=-179.9)], ENCODER)
    scores = engine.score(case.built.market, strange)
    assert np.isfinite(scores).all()
    assert engine.explain(case.built.market, strange, 0, case.best) is not None


def test_one_group_stays_as_it_begins_and_prefers_alike_texts(case):
    """Nothing can be learnt honestly from one group: what is known beforehand is kept, and said."""
    engine = GnnEngine("cpu")
    engine.fit(Snapshot(case.built.market, np.zeros(len(case.built.groups), dtype=np.int32)))
    assert engine.training == {"epochs": 0}
    scores = engine.score(case.built.market, case.obvious)[0]
    assert (scores > scores[case.best]).sum() < 3


def test_hard_negatives_are_near_or_as_popular(monkeypatch):
    from ism.engines.gnn import lessons as module

    case = sample(ENCODER)
    monkeypatch.setattr(module, "MOST_RECEIVERS", 10)
    lesson = lessons(case.snapshot, 0)[0]
    assert lesson.hard.shape == (len(lesson), 4)
    assert not lesson.market.receivers.sector[lesson.hard].any()
    pool = lesson.pool(np.arange(len(lesson)), np.random.default_rng(0))
    right = np.unique(np.concatenate([each.indices for each in lesson.right]))
    assert np.isin(right, pool).all()
    assert np.isin(lesson.hard, pool).all()


def test_a_gpu_that_is_not_there_is_refused_by_name(case):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigurationError, match="device"):
        GnnEngine("cuda").fit(case.snapshot)


def test_weights_that_are_no_numbers_are_refused(case, engine, tmp_path):
    broken = GnnEngine()
    broken._weights = {**engine._weights, "paths": engine._weights["paths"] * np.float32(np.nan)}
    broken.save(tmp_path)
    with pytest.raises(EngineError, match="paths"):
        GnnEngine.load(tmp_path)


def test_serving_loads_no_torch(engine, tmp_path):
    engine.save(tmp_path)
    program = f"""
import sys
from pathlib import Path
from ism.engines.catalog import load
from ism.testing.sample import WordEncoder, sample
case = sample(WordEncoder())
engine = load("gnn", Path({str(tmp_path)!r}), WordEncoder())
engine.score(case.built.market, case.offers)
engine.propose(case.built.market, case.obvious, 3)
engine.explain(case.built.market, case.offers, 0, case.best)
print([name for name in ("torch", "torch_geometric", "sklearn", "lightgbm") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
