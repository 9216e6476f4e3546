"""The knowledge base: every code and source is real, it is broad, and its words are consistent."""

import csv
import re
from collections import Counter
from importlib.resources import files

import pytest

from ism.data import knowledge
from ism.data.codes.ewc import hazard_status, is_ewc, parse_ewc
from ism.data.codes.nace import is_nace, parents

RULES = knowledge.rules()
SOURCES = knowledge.sources()
COLUMNS = [*knowledge.Rule.__slots__]
# Functions that only one rule serves, each looked at; any other lone function is a slip until shown otherwise.
LONE_FUNCTIONS = {
    "bitumen_modifier",
    "blowing_agent",
    "counterweight",
    "desulfuriser",
    "dewatering_aid",
    "flotation_oil",
    "fungicide",
    "geological_storage",
    "insect_feed",
    "magnetic_material",
    "mineraliser",
    "pretreatment_agent",
    "remanufacturing",
    "set_retarder",
    "soap_feedstock",
    "vulcanising_agent",
    "wood_preservative",
}
# What people or animals eat, or what goes on land: no hazardous waste may go there as it is.
FOOD_FEED_LAND = {
    "bedding",
    "compost_feedstock",
    "feed",
    "feed_ingredient",
    "food_redistribution",
    "growing_medium",
    "insect_feed",
    "mulch",
    "protein_source",
    "soil_improver",
}


def _chapters(rule: knowledge.Rule) -> set[str]:
    return {code[:2] for code in rule.ewc}


def test_tables_have_the_documented_columns():
    tables = [entry for entry in (files("ism.data.knowledge") / "rules").iterdir() if entry.name.endswith(".csv")]
    assert len(tables) >= 15
    for table in tables:
        with table.open(encoding="utf-8") as handle:
            reader = csv.reader(handle)
            assert next(reader) == COLUMNS, table.name
            assert all(len(row) == len(COLUMNS) for row in reader), table.name


def test_there_is_enough_of_it():
    assert len(RULES) >= 400
    assert len({chapter for rule in RULES for chapter in _chapters(rule)}) >= 15
    assert len({rule.receiver_nace for rule in RULES}) >= 60
    assert len({parents(rule.receiver_nace)[-1] for rule in RULES}) >= 8
    assert len({rule.material for rule in RULES}) >= 100


def test_no_chapter_crowds_out_the_others():
    counts = Counter(chapter for rule in RULES for chapter in _chapters(rule))
    assert max(counts.values()) <= 0.45 * len(RULES)
    assert sum(count >= 10 for count in counts.values()) >= 15


def test_no_receiver_crowds_out_the_others():
    assert Counter(rule.receiver_nace for rule in RULES).most_common(1)[0][1] <= 0.15 * len(RULES)


def test_every_waste_code_is_in_the_list_and_canonical():
    for rule in RULES:
        for code in rule.ewc:
            assert is_ewc(code), (rule.rule_id, code)
            assert parse_ewc(code, prefixes=True) == code, (rule.rule_id, code)
        assert len(set(rule.ewc)) == len(rule.ewc), rule.rule_id


def test_every_sector_code_is_in_nace():
    for rule in RULES:
        codes = [*rule.donor_nace, rule.receiver_nace, *filter(None, [rule.processor_nace])]
        assert all(is_nace(code) and len(code) >= 2 for code in codes), rule.rule_id
        assert len(rule.receiver_nace) == 5, (rule.rule_id, "a class of four digits")
        assert rule.donor_nace, rule.rule_id


def test_identifiers_are_unique_kebab_words_that_tell_the_receiver():
    ids = Counter(rule.rule_id for rule in RULES)
    assert [name for name, count in ids.items() if count > 1] == []
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.rule_id), rule.rule_id
        if match := re.search(r"-(\d\d)-(\d\d)$", rule.rule_id):
            assert ".".join(match.groups()) == rule.receiver_nace, rule.rule_id


def test_functions_are_a_vocabulary():
    counts = Counter(rule.function for rule in RULES)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in counts)
    assert {name for name, count in counts.items() if count == 1} <= LONE_FUNCTIONS
    assert counts.keys() >= LONE_FUNCTIONS, "a function on the list of exceptions is not used"


def test_a_material_serves_one_function_in_one_sector_once():
    rows = Counter((rule.material.casefold(), rule.function, rule.receiver_nace) for rule in RULES)
    assert [row for row, count in rows.items() if count > 1] == []


def test_nothing_that_must_be_told_is_empty():
    for rule in RULES:
        assert rule.material.strip(), rule.rule_id
        assert rule.replaces.strip(), rule.rule_id
        assert rule.limits.strip(), rule.rule_id
        assert rule.source, rule.rule_id
        assert rule.strength in {1, 2, 3}, rule.rule_id
        assert not rule.processor_nace or rule.process, (rule.rule_id, "who processes, but not what is done")
        texts = (rule.material, rule.replaces, rule.process, rule.limits, *rule.synonyms)
        assert all(text == text.strip() for text in texts), rule.rule_id


def test_strengths_are_used_with_judgement():
    counts = Counter(rule.strength for rule in RULES)
    assert all(0.1 < counts[strength] / len(RULES) < 0.6 for strength in (1, 2, 3)), counts


def test_every_source_resolves_and_is_used():
    cited = {entry.partition(":")[0] for rule in RULES for entry in rule.source}
    assert cited - SOURCES.keys() == set()
    assert SOURCES.keys() - cited == set()


def test_sources_are_told_once_and_in_full():
    rows = [row for row in knowledge._rows("", "sources")]
    assert len(rows) == len(SOURCES)
    titles = Counter((source.title.casefold(), source.year) for source in SOURCES.values())
    assert [title for title, count in titles.items() if count > 1] == []
    kinds = {"bref", "standard", "regulation", "quality_protocol", "report", "paper", "book", "guideline"}
    for source in SOURCES.values():
        assert source.title, source
        assert source.publisher, source
        assert source.kind in kinds, source
        assert source.year == "" or re.fullmatch(r"(19|20)\d\d", source.year), source
        assert source.url == "" or source.url.startswith("https://"), source
        assert source.title in str(source)


def test_not_all_rests_on_one_document():
    cited = Counter(entry.partition(":")[0] for rule in RULES for entry in rule.source)
    assert cited.most_common(1)[0][1] <= 0.15 * sum(cited.values())


def test_hazardous_waste_goes_to_no_food_feed_or_land():
    wrong = [
        (rule.rule_id, code)
        for rule in RULES
        if rule.function in FOOD_FEED_LAND
        for code in rule.ewc
        if hazard_status(code) == "AH" or (hazard_status(code) == "MH" and len(rule.ewc) > 1)
    ]
    assert [entry for entry in wrong if not entry[0].startswith("spent-sulfuric-pickling-acid-")] == []


@pytest.mark.parametrize(
    ("words", "function", "sector"),
    [
        ("fly ash", "cement_constituent", "23.51"),
        ("FGD gypsum", "gypsum_source", "23.62"),
        ("spent grain", "feed", "01.41"),
        ("whey", "biogas_feedstock", "35.21"),
        ("blast furnace slag", "cement_constituent", "23.51"),
        ("waste heat", "heat", "35.30"),
        ("carbon dioxide", "carbon_dioxide", "01.13"),
        ("carbon dioxide", "carbon_dioxide", "11.07"),
        ("pickling acid", "coagulant", "37.00"),
        ("sulfur", "fertiliser", "20.15"),
        ("glass", "glass_batch", "23.13"),
        ("sewage sludge", "fertiliser", "01.11"),
    ],
)
def test_what_any_facilitator_knows_is_there(words: str, function: str, sector: str):
    assert any(
        rule.function == function
        and rule.receiver_nace == sector
        and any(words.casefold() in name.casefold() for name in (rule.material, *rule.synonyms))
        for rule in RULES
    )
