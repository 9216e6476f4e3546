"""Paths through rules, by hand on a few rules of their own."""

from dataclasses import replace

import numpy as np
import pytest

from ism.data.build import build_market
from ism.data.knowledge import Rule
from ism.data.knowledge.arrays import rule_arrays, rule_support
from ism.data.market import distance_km, offer_arrays
from ism.data.votes import vote_index
from ism.domain.market import Company, Offer
from ism.engines.knowledge_graph import paths as engine_paths
from ism.engines.knowledge_graph.paths import PATHS, path_features, proposed_rows, rule_routes
from ism.engines.knowledge_graph.reasons import sentence
from ism.testing.sample import WordEncoder, sample

ENCODER = WordEncoder()
RULE = Rule(
    "r", "fly ash", ("pfa",), ("10 01 02",), ("35.11",), "binder", "clinker", "", "", "23.51", 3, ("s",), "loss"
)


def rule(receiver, **changes):
    return replace(RULE, receiver_nace=receiver, **changes)


def market_of(*codes, classes=()):
    firms = [Company(f"c{number}", f"C {number}", code, None, 50.0, float(number)) for number, code in enumerate(codes)]
    return build_market(firms, [], [], ENCODER, classes=classes).market


def paths(rules, market, offer, rows=None):
    arrays = rule_arrays(rules, ENCODER)
    routes, index = rule_routes(arrays, market), vote_index(market)
    found = path_features(arrays, routes, market, index, offer_arrays([offer], ENCODER), rows)
    return {name: found[0, :, number].tolist() for number, name in enumerate(PATHS)}


ASH = Offer("fly ash", ewc="10 01 02", nace="35.11")


@pytest.mark.parametrize(
    ("offer", "ewc", "donor"),
    [
        (Offer("x", ewc="10 01 02", nace="35.11"), 1.0, 1.0),
        (Offer("x", ewc="10 01 03", nace="35.30"), 0.35, 0.5),
        (Offer("x", ewc="10 02 02", nace="36.00"), 0.08, 0.0),
        (Offer("x", ewc="10 01", nace="35"), 0.35, 0.5),
        (Offer("x", ewc="11 01 05", nace=None), 0.0, 0.0),
        (Offer("x"), 0.0, 0.0),
    ],
)
def test_support_by_code_and_donor(offer, ewc, donor):
    support = rule_support(rule_arrays([RULE], ENCODER), offer_arrays([offer], ENCODER))
    assert (support.ewc[0, 0], support.donor[0, 0]) == (pytest.approx(ewc), pytest.approx(donor))


@pytest.mark.parametrize(("prefix", "covers"), [("10", 0.3), ("10 01", 0.7), ("10 01 02", 1.0)])
def test_a_rule_for_a_prefix_covers_less_surely(prefix, covers):
    arrays = rule_arrays([replace(RULE, ewc=(prefix,))], ENCODER)
    assert rule_support(arrays, offer_arrays([ASH], ENCODER)).ewc[0, 0] == pytest.approx(covers)


def test_the_closest_name_counts():
    arrays = rule_arrays([RULE], ENCODER)
    support = rule_support(arrays, offer_arrays([Offer("pfa"), Offer("fly ash"), Offer("")], ENCODER))
    np.testing.assert_allclose(support.cosine[:, 0], [1, 1, 0], atol=1e-6)


def test_materials_are_held_once():
    arrays = rule_arrays([rule("23.51"), rule("42.11"), rule("23.63", synonyms=())], ENCODER)
    assert arrays.material.tolist() == [0, 0, 1]
    assert arrays.materials == 2


def test_a_rule_leads_to_its_sector_and_a_coarse_one_to_all_below():
    market = market_of("23.51", "23.52", "42.11", None, classes=["23.51"])
    fine = paths([rule("23.51")], market, ASH)
    assert [value > 0 for value in fine["rule_code_best"]] == [True, False, False, False, True]
    assert fine["rule_division"][1] > 0  # a rule for a sister sector counts in a path of its own
    assert fine["rule_breadth"] == [1, 0, 0, 0, 1]
    coarse = paths([rule("23.5")], market, ASH)
    strong = coarse["rule_code_best"][0]
    assert 0 < strong < fine["rule_code_best"][0]
    assert coarse["rule_code_best"] == [strong, strong, 0, 0, strong]
    division = paths([rule("23")], market, ASH)
    assert division["rule_code_best"] == coarse["rule_code_best"]


def test_codes_of_other_levels_with_the_same_digits_are_other_sectors():
    """Class 01.61 (support for crop production) is no part of group 16.1 (sawmilling), nor is 01.41 of 14.1."""
    for receiver, others in (
        ("01.61", ["16.10", "16.1"]),
        ("16.1", ["01.61"]),
        ("01.41", ["14.11"]),
        ("01.1", ["11.01"]),
    ):
        found = paths([rule(receiver)], market_of(*others, receiver), ASH)
        for name in PATHS:
            if name.startswith("rule_"):
                assert found[name][:-1] == [0] * len(others), (receiver, name)
        assert found["rule_code_best"][-1] > 0


def test_shares_compare_sectors_with_each_other():
    strong, weak = rule("23.51"), rule("42.11", strength=1)
    found = paths([strong, weak], market_of("23.51", "42.11"), ASH)
    best, other = found["rule_code_share"]
    assert other / best == pytest.approx(1 / 3, rel=1e-5)
    assert best == pytest.approx(1 / (np.hypot(1, 1 / 3) + 0.02), rel=1e-5)


def test_no_path_depends_on_which_receivers_are_asked_for():
    case = sample(ENCODER)
    rules = [rule("23.51"), rule("23.51", material="slag"), rule("10.91"), rule("16.21")]
    arrays = rule_arrays(rules, ENCODER)
    market, index = case.built.market, vote_index(case.built.market)
    routes = rule_routes(arrays, market)
    everything = path_features(arrays, routes, market, index, case.offers)
    assert (everything >= 0).all()
    for row in range(0, len(market.receivers), 7):
        rows = np.asarray([row])
        np.testing.assert_array_equal(
            path_features(arrays, routes, market, index, case.offers, rows), everything[:, rows]
        )


@pytest.mark.parametrize("rules", [[], [rule("23.51")]])
def test_nobody_and_no_rules_are_ordinary(rules):
    nobody = market_of()
    assert paths(rules, nobody, ASH)["rule_breadth"] == []
    if rules:
        arrays = rule_arrays(rules, ENCODER)
        routes = rule_routes(arrays, nobody)
        assert proposed_rows(arrays, routes, nobody, offer_arrays([ASH], ENCODER), 3).tolist() == []
    else:
        somebody = paths(rules, market_of("23.51"), ASH)
        assert not any(value for name in PATHS if name.startswith("rule") for value in somebody[name])


def test_proposals_are_led_to_and_near():
    market = market_of("23.51", "23.51", "10.11", "23.51", classes=["23.51", "10.11"])
    arrays = rule_arrays([RULE], ENCODER)
    near = offer_arrays([replace(ASH, latitude=50.0, longitude=3.0)], ENCODER)
    found = proposed_rows(arrays, rule_routes(arrays, market), market, near, 1).tolist()
    assert found == [1, 3, 4]  # the two nearest kilns and their sector


@pytest.mark.parametrize("place", [(50.0, 3.0), (-30.0, 170.0), (None, None)])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_a_sample_spares_distances_and_changes_no_proposal(monkeypatch, place, count):
    rng = np.random.default_rng(0)
    codes = ["23.51", "23.61", "10.11", "23.99"]
    firms = [
        Company(f"c{i}", f"C {i}", codes[rng.integers(4)], None, float(rng.uniform(45, 55)), float(rng.uniform(0, 20)))
        for i in range(400)
    ]
    market = build_market(firms, [], [], ENCODER, classes=codes).market
    arrays = rule_arrays([RULE, rule("23.61", strength=1), rule("23", strength=2)], ENCODER)
    routes = rule_routes(arrays, market)
    offer = offer_arrays([replace(ASH, latitude=place[0], longitude=place[1])], ENCODER)
    plain = proposed_rows(arrays, routes, market, offer, count).tolist()
    measured = []
    monkeypatch.setattr(
        engine_paths, "distance_km", lambda *given: measured.append(len(given[2])) or distance_km(*given)
    )
    monkeypatch.setattr(engine_paths, "_SAMPLE", 150)
    assert proposed_rows(arrays, routes, market, offer, count).tolist() == plain
    if place == (50.0, 3.0) and count == 1:
        assert measured[-1] < 200  # of the 300 or so that rules lead to


def test_a_rule_as_a_sentence():
    processed = rule("23.51", process="drying", processor_nace="38.32", function="cement_constituent")
    assert sentence(processed) == (
        "Fly ash serves as cement constituent in manufacture of cement (23.51), in place of clinker, "
        "after drying by recovery of sorted materials (38.32). Mind: loss."
    )


def test_the_last_support_is_kept_by_content_and_cannot_be_changed():
    arrays, asked = rule_arrays([RULE], ENCODER), offer_arrays([ASH], ENCODER)
    first = rule_support(arrays, asked)
    assert rule_support(arrays, offer_arrays([ASH], ENCODER)) is first
    with pytest.raises(ValueError, match="read-only"):
        first.ewc[0, 0] = 0.0
    asked.ewc[:] = -1  # filled again by its owner
    assert rule_support(arrays, asked).ewc[0, 0] == 0.0
    assert rule_support(rule_arrays([rule("10.11", ewc=())], ENCODER), offer_arrays([ASH], ENCODER)).ewc[0, 0] == 0.0
