import numpy as np
import pytest
from bench_fakes import ContraryEngine, CountingEngine, WordEncoder

from bench import latency
from ism.data.market import offer_arrays
from ism.fusion.fit import FittedFusion

SIZE = latency.Size(companies=300, exchanges=80, offers=4)


@pytest.fixture(scope="module")
def built():
    return latency.simulated(SIZE, WordEncoder(), seed=1)


@pytest.fixture(scope="module")
def offers():
    return [offer_arrays([offer], WordEncoder()) for offer in latency.simulated_offers(SIZE.offers, seed=2)]


def test_the_simulated_market_is_as_large_as_asked(built):
    assert len(built.market.receivers) == 300 + 615
    assert len(built.market.precedents) == 80
    assert np.isfinite(built.market.receivers.latitude[:300]).all()
    assert (built.market.receivers.nace[:300, 0] > 0).all()


def test_the_same_seed_simulates_the_same(built):
    again = latency.simulated(SIZE, WordEncoder(), seed=1)
    assert again.market.receivers.need_texts == built.market.receivers.need_texts
    assert again.market.precedents.texts == built.market.precedents.texts
    other = latency.simulated(SIZE, WordEncoder(), seed=2)
    assert other.market.receivers.need_texts != built.market.receivers.need_texts


def test_companies_ask_for_what_their_sector_can_use(built):
    from ism.data import knowledge

    uses = {}
    for rule in knowledge.rules():
        for name in (rule.material, *rule.synonyms):
            uses.setdefault(name, set()).add(rule.receiver_nace)
    asked = dict(zip(built.market.receivers.need_owner, built.market.receivers.need_texts, strict=True))
    for row in range(300):
        assert any(built.companies[row].nace.startswith(code) for code in uses[asked[row]])


def test_the_bare_product_finds_the_closest_needs(built, offers):
    answer = latency.bare_product(built.market)
    home = built.market.receivers
    for offer in offers:
        cosine = np.sort(home.needs @ offer.vectors[0])[-latency.TOP :]
        found = [home.needs[home.need_owner == row] @ offer.vectors[0] for row in answer(offer)]
        assert sorted(max(values) for values in found) == pytest.approx(cosine.tolist(), abs=1e-5)


def test_the_match_is_the_best_of_what_was_scored(built, offers):
    fusion = FittedFusion({"matching": CountingEngine(), "knowledge_graph": ContraryEngine()})
    answer = latency.matcher(built.market, fusion)
    for offer in offers:
        best = answer(offer)
        assert len(set(best.tolist())) == latency.TOP
        final = fusion.score(built.market, offer).final[0]
        assert final[best].min() >= np.sort(final)[-latency.TOP]
        assert (np.diff(final[best]) <= 0).all()


def test_answers_take_turns(offers):
    asked = []
    answers = {name: lambda offer, name=name: asked.append(name) for name in ("match", "bare")}
    taken = latency.timed(answers, offers)
    assert {name: len(values) for name, values in taken.items()} == {"match": 4, "bare": 4}
    assert asked[-8:] == ["match", "bare"] * 4


def test_peak_memory_is_in_mebibytes():
    held = np.ones(60 * 2**20 // 8)
    assert 60 < latency.peak_mib() < 64 * 1024
    assert held.sum() > 0


def test_the_section_shows_ratio_and_memory():
    found = {
        "receivers": 100_615,
        "needs": 100_615,
        "precedents": 20_000,
        "offers": 200,
        "receivers_scored": 700.0,
        "milliseconds": {"match": {"p50": 30.0, "p99": 41.0}, "bare": {"p50": 15.0, "p99": 20.0}},
        "ratio": {"p50": 2.0, "p99": 2.05},
        "adds_milliseconds": {"matching": {"p50": 9.0, "p99": 12.0}, "gnn": {"p50": 3.0, "p99": 4.5}},
        "encode_milliseconds": {"p50": 9.0, "p99": 10.0},
        "peak_mib": 1023.4,
    }
    text = latency.section(found, "how it ran")
    assert "| match | 30.0 | 41.0 |" in text
    assert "| ratio (at most 3 at p99) | 2.00 | 2.05 |" in text
    assert "| matching adds | 9.0 | 12.0 |" in text
    assert "| gnn adds (at most 10 at p50) | 3.0 | 4.5 |" in text
    assert "1023 MiB (limit 1536)" in text
    assert "*simulated*" in text


def test_rounds_are_told_openly():
    slow, fast = np.full(10, 0.03), np.full(10, 0.01)
    rounds = [latency.told_of_round({"match": match, "bare": fast}) for match in (slow, 2 * slow, fast)]
    assert [told["ratio"]["p99"] for told in rounds] == pytest.approx([3.0, 6.0, 1.0])
    assert rounds[0]["milliseconds"]["match"] == pytest.approx({"p50": 30.0, "p99": 30.0})
    found = {
        "receivers": 1,
        "needs": 1,
        "precedents": 0,
        "offers": 10,
        "receivers_scored": 1.0,
        "milliseconds": rounds[0]["milliseconds"],
        "ratio": rounds[0]["ratio"],
        "adds_milliseconds": {},
        "rounds": rounds,
        "encode_milliseconds": {"p50": 9.0, "p99": 10.0},
        "peak_mib": 1.0,
    }
    assert "3 of them: 1.00 to 6.00 at p50 and 1.00 to 6.00 at p99" in latency.section(found, "how")


def test_what_an_engine_adds_is_the_match_less_the_one_without_it():
    taken = {"match": np.full(10, 0.03), "bare": np.full(10, 0.01), "without gnn": np.full(10, 0.025)}
    assert latency.told_of_round(taken)["adds"] == {"gnn": pytest.approx({"p50": 5.0, "p99": 5.0})}
