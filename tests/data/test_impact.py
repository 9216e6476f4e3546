"""Estimates: arithmetic on the table's own figures, and the refusal to fill in what is not known."""

import csv
import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.data import knowledge
from ism.data.codes.ewc import is_ewc
from ism.data.impact import estimate, tables
from ism.domain.errors import InvalidCodeError, InvalidInputError
from ism.domain.match import Estimate, Interval


def _rows(name: str) -> list[dict[str, str]]:
    with files("ism.data.impact").joinpath(name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _near(value: Interval | None, low: float, central: float, high: float) -> None:
    assert value is not None
    assert (value.low, value.central, value.high) == pytest.approx((low, central, high))


def _fly_ash(**changes: object) -> Estimate:
    case = {
        "material_text": "coal fly ash",
        "replaces": "Portland clinker",
        "ewc": "10 01 02",
        "hazardous": False,
        "distance_km": 100.0,
        "price_eur_per_t": 10.0,
        "function": "cement_constituent",
    }
    return estimate(**{**case, **changes})  # type: ignore[arg-type]  # the keywords above


def test_fly_ash_for_clinker_is_the_sum_of_its_parts_by_hand():
    found = _fly_ash()
    _near(
        found.co2e_kg_per_t,
        -1000 * 1.0 - 8.98311 + 0.07431 * 100 * 1.0,
        -850 * 0.7 - 1.26338 + 0.10163 * 100 * 1.3,
        -766 * 0.4 - 1.0 + 0.12226 * 100 * 1.5,
    )
    _near(
        found.cost_eur_per_t,
        -75 * 1.0 - 40 + 0.06 * 100 * 1.0 + 10,
        -50 * 0.7 - 15 + 0.1 * 100 * 1.3 + 10,
        -35 * 0.4 - 5 + 0.25 * 100 * 1.5 + 10,
    )


def test_what_is_not_known_is_left_out_and_named():
    whole = _fly_ash()
    for change, words in (
        ({"replaces": None}, "replaced material is not known"),
        ({"replaces": "magic dust"}, "No factor fits the replaced material (magic dust)"),
        ({"distance_km": None}, "distance is not known"),
        ({"price_eur_per_t": None}, "No price is given"),
    ):
        found = _fly_ash(**change)
        assert any(words in text for text in found.missing), words
        assert not any(words in text for text in whole.missing), words
        assert len(found.factors) < len(whole.factors)


def test_nothing_known_gives_no_interval():
    found = estimate("surplus steam", None, None, None, None, None)
    assert found.cost_eur_per_t is None
    assert found.co2e_kg_per_t is None
    assert found.factors == ()
    assert len(found.missing) == 4


def test_a_metal_factor_is_not_applied_to_a_residue_that_only_contains_the_metal():
    dust = estimate("electric arc furnace dust with 20 % zinc", "zinc", "10 02 07", None, 0.0, 0.0, "metal_recovery")
    scrap = estimate("clean zinc scrap", "primary zinc", "17 04 04", False, 0.0, 0.0, "metal_charge")
    assert any("content of this residue is not known" in text for text in dust.missing)
    assert scrap.co2e_kg_per_t is not None
    assert dust.co2e_kg_per_t is not None
    assert scrap.co2e_kg_per_t.central < -2000 < dust.co2e_kg_per_t.central


def test_remelting_is_deducted_from_the_saving_of_aluminium_scrap():
    found = estimate("aluminium scrap", "primary aluminium", "17 04 02", None, None, None, "metal_charge")
    _near(found.co2e_kg_per_t, -20000 * 1.0 + 500, -15100 * 0.95 + 995.0779, -6800 * 0.85 + 1200)


@pytest.mark.parametrize("replaces", ["mineral nitrogen", "urea", "mineral NPK", "coal", "sulphuric acid", "bitumen"])
def test_factors_of_another_unit_than_residue_mass_are_left_out(replaces: str):
    found = estimate("sludge", replaces, "19 08 05", None, None, None, "fertiliser")
    assert not any(factor.unit == "t/t" for factor in found.factors)
    assert any(replaces in text for text in found.missing)


def test_wood_gives_the_heat_of_part_of_its_weight_of_coal():
    found = estimate("waste wood chips", "coal in boilers", "19 12 07", None, None, None, "fuel")
    ratio = next(factor for factor in found.factors if factor.unit == "t/t")
    assert ratio.value.high < 1
    assert ratio.value.central == pytest.approx(15.6 / 25.8, abs=0.01)


@pytest.mark.parametrize(
    ("replaces", "group"),
    [
        ("Portland clinker", "portland clinker"),
        ("mined gypsum in plasterboard", "virgin gypsum"),
        ("crushed rock / gravel", "natural aggregate"),
        ("rock salt for roads", "salt"),
    ],
)
def test_the_replaced_material_is_found_in_the_words_of_rules(replaces: str, group: str):
    found = estimate("residue", replaces, "10 01 02", None, None, None)
    assert f"Tonnes of {group} replaced by a tonne" in {factor.name for factor in found.factors}


@pytest.mark.parametrize(
    "replaces",
    [
        "lightweight aggregate",  # not gravel
        "wood flour",  # not timber
        "resin binder",  # not cement
        "activated carbonate",  # no whole word of "activated carbon"
        "coal for activated carbon",  # coal, which is a fuel here
        "clay and unobtainium",  # one of two is unknown
    ],
)
def test_a_similar_word_is_no_match(replaces: str):
    found = estimate("residue", replaces, "10 01 02", None, None, None)
    assert not any(factor.unit == "t/t" for factor in found.factors)


def test_two_possible_materials_span_both():
    both, clay, sand = (
        estimate("residue", text, None, None, None, None, "steam").co2e_kg_per_t
        for text in ("clay and sand", "clay", "sand")
    )
    assert clay is not None
    assert sand is not None
    _near(both, min(clay.low, sand.low), (clay.central + sand.central) / 2, max(clay.high, sand.high))


def test_replaced_disposal_is_not_counted_twice():
    found = estimate("ash", "landfill", "10 01 02", False, None, None)
    assert any("not twice" in text for text in found.missing)
    _near(found.cost_eur_per_t, -40, -15, -5)


@pytest.mark.parametrize(
    ("ewc", "hazardous", "text", "route"),
    [
        ("10 01 02", False, "fly ash", "landfill inert"),
        ("20 01 08", None, "kitchen waste", "landfill food"),
        ("15 01 01", None, "cardboard", "landfill paper"),
        ("17 02 01", None, "beams", "landfill wood"),
        (None, None, "spent grain", "landfill food"),
        (None, None, "something odd", "landfill"),
        ("16 10 02", None, "liquid", "landfill"),
        ("14 06 03", None, "mixed solvents", "hazardous incineration"),
        ("10 02 07", None, "furnace dust", "hazardous landfill"),
        ("17 05 04", True, "soil", "hazardous landfill"),
        ("14 06 03", False, "declared harmless against its code", "hazardous incineration"),
        ("17 09 03", None, "mirror entry", "hazardous landfill"),
    ],
)
def test_the_disposal_that_is_avoided(ewc: str | None, hazardous: bool | None, text: str, route: str):
    found = estimate(text, None, ewc, hazardous, None, None)
    assert f"Avoided disposal: {route}" in {factor.name for factor in found.factors}


def test_scrap_metal_and_piped_streams_have_no_disposal_to_avoid():
    for text, ewc in (("steel scrap", "17 04 05"), ("carbon dioxide from fermentation", None)):
        found = estimate(text, None, ewc, None, 10.0, None)
        assert not any(factor.name.startswith("Avoided disposal") for factor in found.factors)
        assert any("No avoided disposal" in reason for reason in found.missing)


def test_piped_streams_do_not_travel_by_truck():
    found = estimate("waste heat", "natural gas in boilers", None, None, 5.0, None, "heat")
    assert not any(factor.name.startswith("Transport") for factor in found.factors)


def test_farther_costs_more_and_a_dear_offer_costs_more():
    near, far, dear = _fly_ash(distance_km=60.0), _fly_ash(distance_km=600.0), _fly_ash(price_eur_per_t=60.0)
    assert near.cost_eur_per_t is not None
    assert far.cost_eur_per_t is not None
    assert dear.cost_eur_per_t is not None
    assert far.cost_eur_per_t.low > near.cost_eur_per_t.low
    assert far.cost_eur_per_t.central - near.cost_eur_per_t.central == pytest.approx(0.1 * 1.3 * 540)
    assert dear.cost_eur_per_t.central - _fly_ash().cost_eur_per_t.central == pytest.approx(50)  # type: ignore[union-attr]  # known above


@pytest.mark.parametrize(
    "changes", [{"distance_km": -1.0}, {"distance_km": float("nan")}, {"price_eur_per_t": float("inf")}]
)
def test_impossible_numbers_are_refused_by_name(changes: dict[str, float]):
    with pytest.raises(InvalidInputError, match=next(iter(changes))):
        _fly_ash(**changes)


def test_unknown_codes_are_refused():
    with pytest.raises(InvalidCodeError):
        _fly_ash(ewc="99 99 99")


@given(
    rule=st.sampled_from(knowledge.rules()),
    hazardous=st.sampled_from([None, True, False]),
    distance=st.none() | st.floats(0, 20_000),
    price=st.none() | st.floats(-2000, 20_000),
)
def test_every_rule_gives_ordered_intervals_with_cited_factors(
    rule: knowledge.Rule, hazardous: bool | None, distance: float | None, price: float | None
):
    ewc = rule.ewc[0] if rule.ewc else None
    found = estimate(rule.material, rule.replaces, ewc, hazardous, distance, price, rule.function)
    for value in (found.cost_eur_per_t, found.co2e_kg_per_t):
        assert value is None or value.low <= value.central <= value.high
    for factor in found.factors:
        assert factor.value.low <= factor.value.central <= factor.value.high
        assert factor.name
        assert factor.unit
        assert factor.source
    assert len(found.factors) == len(set(found.factors))
    assert found.factors or found.missing


def test_own_assessments_say_so():
    found = estimate("spent solvent", "virgin solvent", "14 06 03", None, None, None, "solvent")
    sources = {factor.name: factor.source for factor in found.factors}
    assert sources["Price of the replaced material: virgin solvent"].startswith("own assessment")
    assert not any("ism-" in source for source in sources.values())


def test_the_tables_hold_together():
    sources = {row["source_id"] for row in _rows("sources.csv")}
    factors = _rows("factors.csv")
    kinds = {(row["kind"], row["applies_to"]) for row in factors}
    assert len(kinds) == len(factors)
    for row in factors:
        assert row["source"] in sources, row["factor_id"]
        assert float(row["low"]) <= float(row["central"]) <= float(row["high"]), row["factor_id"]
    replaced = {group for kind, group in kinds if kind.endswith("avoided_material")}
    assert set(tables.substitutions()) == replaced
    assert len(sources) == len(_rows("sources.csv"))


def test_every_substitution_ends_in_a_row_that_always_fits_and_cites_what_it_counts():
    treatments = {row["applies_to"] for row in _rows("factors.csv") if row["kind"] == "processing"}
    for group, rows in tables.substitutions().items():
        assert rows[-1].fits("", None, None), group
        for row in rows:
            assert row.note
            assert not row.treatment or row.treatment in treatments
            assert all(is_ewc(code) for code in row.ewc), row
            if row.ratio is not None:
                assert 0 <= row.ratio.low <= row.ratio.central <= row.ratio.high
                assert tables.source(row.source)


def test_every_route_has_its_figures_and_no_code_has_two_routes():
    kinds = {(row["kind"], row["applies_to"]) for row in _rows("factors.csv")}
    seen: set[tuple[bool, str]] = set()
    for route in tables.routes():
        if route.route != "none":
            assert ("disposal", route.route) in kinds
            assert ("price_disposal", route.price_route) in kinds
        for code in route.ewc:
            assert is_ewc(code), code
            assert (route.hazardous, code) not in seen, code
            seen.add((route.hazardous, code))


def test_the_functions_that_the_tables_name_exist_in_the_knowledge_base():
    known = {rule.function for rule in knowledge.rules()}
    named = {one for rows in tables.substitutions().values() for row in rows for one in row.functions}
    named |= {one for route in tables.routes() for one in route.functions}
    assert named <= known, named - known


def test_the_worked_example_of_the_guide_is_what_the_code_gives():
    guide = Path(__file__).parents[2] / "docs" / "impact.md"
    found = estimate("coal fly ash", "Portland clinker", "10 01 02", False, 120.0, 15.0, "cement_constituent")
    text = guide.read_text(encoding="utf-8")
    for value in (found.cost_eur_per_t, found.co2e_kg_per_t):
        assert value is not None
        shown = " | ".join(f"{end:.0f}" for end in (value.low, value.central, value.high))
        assert re.search(re.escape(shown), text), shown
