"""The engine as the fusion sees it: what it tells about its training, its parts, its files."""

import json

import numpy as np
import pytest

from ism.data.market import Market
from ism.domain.errors import InvalidInputError
from ism.engines.federated import FederatedEngine
from ism.engines.federated.files import load_profile, load_site, save_profile, save_site
from ism.engines.federated.model import bins_of_market
from ism.engines.federated.sites import Site, by_donor, prepared, split
from ism.testing.sample import WordEncoder, sample

CASE = sample(WordEncoder())


@pytest.fixture(scope="module")
def engine() -> FederatedEngine:
    made = FederatedEngine(policy={"sites": 3})
    made.fit(CASE.snapshot)
    return made


def test_scores_need_no_precedents(engine):
    market = CASE.built.market
    bare = Market(market.receivers, market.precedents.take(np.zeros(0, np.intp)))
    assert np.array_equal(engine.score(bare, CASE.offers), engine.score(market, CASE.offers))


def test_the_model_tells_how_it_was_trained_and_what_that_guarantees(engine, tmp_path):
    assert engine.summary().startswith("3 sites, 20 rounds of fedadam. No noise was added")
    private = FederatedEngine(policy={"epsilon": 8.0, "rounds": 2})
    private.fit(CASE.snapshot)
    assert "epsilon 8.00, delta 1e-05 for one exchange record" in private.summary()
    private.save(tmp_path)
    told = json.loads((tmp_path / "engine.json").read_text())["report"]
    assert told["privacy"]["epsilon"] == pytest.approx(8.0, rel=0.01)
    assert [each["number"] for each in told["rounds"]] == [1, 2]
    assert FederatedEngine.load(tmp_path).summary() == private.summary()


def test_people_decide_about_privacy_and_a_search_does_not():
    assert set(FederatedEngine.search_space()) == {"rounds", "server_rate", "l2", "clip"}
    with pytest.raises(InvalidInputError, match="epsilon"):
        FederatedEngine().fit(CASE.snapshot, {"epsilon": -1.0})


def test_reasons_are_the_parts_of_the_utility(engine):
    market = CASE.built.market
    parts = engine.contributions(market, CASE.obvious, 0, CASE.best)
    reasons = engine.explain(market, CASE.obvious, 0, CASE.best)
    assert {reason.detail["part"]: reason.detail["log_odds"] for reason in reasons} == {
        name: round(value, 4) for name, value in parts.items() if value >= 0.25
    }
    score = float(engine.score(market, CASE.obvious)[0, CASE.best])
    assert sum(parts.values()) - 6.0 == pytest.approx(np.log(score / (1 - score)), abs=1e-3)
    assert any("asks for something close" in reason.text for reason in reasons)


def test_a_company_that_came_later_is_scored_by_its_sector_and_its_profile(engine):
    market = CASE.built.market
    home = market.receivers
    renamed = Market(
        type(home)(**{**{name: getattr(home, name) for name in home.__dataclass_fields__}, "ids": ["new"] * len(home)}),
        market.precedents,
    )
    parts = engine.contributions(renamed, CASE.obvious, 0, CASE.best)
    known = engine.contributions(market, CASE.obvious, 0, CASE.best)
    assert parts["distance"] == known["distance"]
    assert parts["text"] != known["text"]
    assert abs(parts["text"]) > 0


def test_files_of_a_federation_hold_what_a_site_needs(tmp_path):
    profile, path = tmp_path / "profile.safetensors", tmp_path / "north.safetensors"
    save_profile(CASE.built.market, profile)
    north = split(CASE.snapshot, by_donor(CASE.snapshot, 2))[0]
    save_site("North", north.snapshot, path)
    public = load_profile(profile)
    assert len(public.precedents) == 0
    found, bins = load_site(path, public), bins_of_market(public)
    assert found.name == "North"
    assert bins.digest == bins_of_market(CASE.built.market).digest
    ours, theirs = (prepared(each.snapshot, bins, private=True) for each in (Site("North", north.snapshot), found))
    for name in ("offers", "pairs", "share", "places"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))


def test_a_profile_holds_nothing_of_the_exchanges(tmp_path):
    market, path = CASE.built.market, tmp_path / "profile.safetensors"
    save_profile(market, path)
    with_none = tmp_path / "none.safetensors"
    save_profile(Market(market.receivers, market.precedents.take(np.zeros(0, np.intp))), with_none)
    assert path.read_bytes() == with_none.read_bytes()
