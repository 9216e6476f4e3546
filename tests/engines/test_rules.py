"""The curated rules as columns: where they lead, what they are worth, and with whose vectors."""

from dataclasses import replace

import numpy as np
import pytest

from ism.data.graph import offer_nodes
from ism.data.knowledge.arrays import curated_arrays
from ism.data.market import nace_levels, offer_arrays
from ism.domain.errors import EngineError
from ism.domain.market import Offer
from ism.engines.federated import FederatedEngine
from ism.engines.federated.columns import PAIR_GROUPS, pair_columns
from ism.engines.federated.files import load_profile, load_rules, save_profile
from ism.engines.gnn import GnnEngine
from ism.engines.gnn.embedding import embed, utilities
from ism.engines.gnn.lessons import lessons
from ism.engines.gnn.removal import Removal, utilities_without
from ism.engines.rules import RULE_COLUMNS, RULE_PRIOR, RuleBook, rule_book
from ism.testing.sample import WordEncoder, sample

ENCODER = WordEncoder()
CASE = sample(ENCODER)
MARKET = CASE.built.market
EVERYBODY = np.arange(len(MARKET.receivers))


def test_columns_are_the_same_for_receivers_of_one_class_and_nothing_where_no_rule_leads():
    rules = rule_book(ENCODER).at(MARKET)
    columns = rules.columns(CASE.offers)
    assert columns.shape == (len(CASE.offers), len(rules.members), len(RULE_COLUMNS))
    assert (columns >= 0).all()
    assert np.isfinite(columns).all()
    home = MARKET.receivers
    cement = np.flatnonzero((home.nace == nace_levels(["23.51"])).all(axis=1))
    assert len(np.unique(rules.group_of[cement])) == 1
    ash = offer_arrays([Offer("coal fly ash", ewc="10 01 02", nace="35.11")], ENCODER)
    led = rules.columns(ash)[0, rules.group_of]
    nowhere = np.flatnonzero(home.nace[:, 0] < 0)
    assert led[cement].all()
    assert not led[nowhere].any()


def test_worth_is_the_weighed_sum_of_the_columns():
    rules = rule_book(ENCODER).at(MARKET)
    whole = rules.columns(CASE.offers)[:, rules.group_of] @ RULE_PRIOR
    np.testing.assert_allclose(rules.worth(CASE.offers, RULE_PRIOR), whole, rtol=1e-6)
    some = np.asarray([5, 1])
    np.testing.assert_allclose(rules.worth(CASE.offers, RULE_PRIOR, some), whole[:, some], rtol=1e-6)


def test_engines_without_an_encoder_use_no_rules():
    without = pair_columns(MARKET, CASE.offers, EVERYBODY)
    with_rules = pair_columns(MARKET, CASE.offers, EVERYBODY, rule_book(ENCODER))
    assert not without[:, :, PAIR_GROUPS["rule"]].any()
    assert with_rules[:, :, PAIR_GROUPS["rule"]].any()
    assert np.array_equal(without[:, :, : PAIR_GROUPS["rule"].start], with_rules[:, :, : PAIR_GROUPS["rule"].start])


@pytest.mark.parametrize("kind", [GnnEngine, FederatedEngine])
def test_a_model_that_learnt_with_rules_says_so(kind, tmp_path):
    given = kind(encoder=ENCODER)
    given.fit(CASE.snapshot, {"epochs": 2} if kind is GnnEngine else {"rounds": 2})
    given.save(tmp_path / "with")
    again = kind.load(tmp_path / "with", encoder=ENCODER)
    assert np.array_equal(again.score(MARKET, CASE.offers), given.score(MARKET, CASE.offers))
    reasons = given.explain(MARKET, CASE.obvious, 0, CASE.best)
    assert any(reason.kind == "rule" for reason in reasons)
    bare = kind(encoder=ENCODER, use_rules=False)
    bare.fit(CASE.snapshot, {"epochs": 2} if kind is GnnEngine else {"rounds": 2})
    bare.save(tmp_path / "without")
    again = kind.load(tmp_path / "without", encoder=ENCODER)
    assert np.array_equal(again.score(MARKET, CASE.offers), bare.score(MARKET, CASE.offers))
    assert not np.array_equal(bare.score(MARKET, CASE.offers), given.score(MARKET, CASE.offers))


def test_the_network_with_its_rules_taken_away_is_the_network_without_them():
    import torch

    from ism.engines.gnn.learn import _Desk
    from ism.engines.gnn.network import GraphNetwork

    book = rule_book(ENCODER)
    lesson = lessons(CASE.snapshot, 0, book)[0]
    network = GraphNetwork(ENCODER.dimension, 8, 0.5).eval()
    weights = network.weights()
    with_rules, bare = embed(weights, lesson.market, book), embed(weights, lesson.market)
    with torch.no_grad():
        told = _Desk(lesson, torch.device("cpu")).utilities(network, np.arange(len(lesson)), lesson.everybody).numpy()
    np.testing.assert_allclose(utilities(weights, with_rules, lesson.offers, lesson.everybody), told, atol=2e-4)
    one, row = CASE.obvious, np.asarray([CASE.best])
    joined = offer_nodes(with_rules.graph, one)
    quick = utilities_without(weights, with_rules, one, joined, np.repeat(row, 2), [Removal(), Removal(rules=True)])
    whole = [utilities(weights, each, one, row)[0, 0] for each in (with_rules, bare)]
    np.testing.assert_allclose(quick, whole, atol=1e-4)
    assert quick[0] > quick[1]


def test_a_profile_carries_the_vectors_of_the_rules(tmp_path):
    book, path = rule_book(ENCODER), tmp_path / "profile.safetensors"
    save_profile(MARKET, path, book)
    found, public = load_rules(path), load_profile(path)
    assert found is not None
    assert np.array_equal(found.at(public).columns(CASE.offers), book.at(MARKET).columns(CASE.offers))
    save_profile(MARKET, path)
    assert load_rules(path) is None


def test_a_profile_of_another_version_is_refused(tmp_path):
    book, path = rule_book(ENCODER), tmp_path / "profile.safetensors"
    save_profile(MARKET, path, book)
    save_profile(MARKET, path, RuleBook(replace(curated_arrays(ENCODER), vectors=book.vectors[1:])))
    with pytest.raises(EngineError, match="one version"):
        load_rules(path)
