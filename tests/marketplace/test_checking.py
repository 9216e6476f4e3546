"""The mapping is compared with the marketplace itself, and every difference is named; a bad file is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from postgrest_standin import Project

from ism.app.marketplace.checking import check_mapping
from ism.app.marketplace.mapping import Mapping, load_mapping
from ism.app.marketplace.postgrest import PostgRest
from ism.domain.errors import ConfigurationError, MarketplaceError
from ism.settings import Settings


def checked(settings: Settings, **mapping: Any):
    return check_mapping(PostgRest(settings), Mapping.model_validate(mapping))


def test_the_typical_marketplace_fits(connected: Settings) -> None:
    found = checked(connected)
    assert found.notes() == []
    assert list(found.tables) == [
        "companies", "materials", "material_exchanges", "symbiotic_matches", "ai_matches", "ai_feedback_events"
    ]  # fmt: skip
    assert "main_materials" in found.tables["companies"]


def test_every_missing_column_and_table_is_named_at_once(project: Project, connected: Settings) -> None:
    project.sql(
        "alter table companies drop column industry; alter table materials drop column quality_grade;"
        " alter table materials drop column unit; drop table symbiotic_matches; drop table ai_matches cascade"
    )
    with pytest.raises(ConfigurationError) as told:
        checked(connected)
    for words in (
        "companies has no column 'industry'",
        "materials has no column 'quality_grade'",
        "materials has no column 'unit'",
        "There is no table 'symbiotic_matches'",
        "There is no table 'ai_matches'. Run deploy/supabase/ism.sql",
        "ISM_MARKETPLACE_MAPPING",
    ):
        assert words in str(told.value)


def test_what_is_called_otherwise_or_is_not_there_is_mapped(project: Project, connected: Settings) -> None:
    project.sql(
        "alter table companies rename to firms; alter table firms rename column industry to branch;"
        " alter table firms drop column products; drop table symbiotic_matches; drop table material_exchanges"
    )
    companies = {"table": "firms", "industry": "branch", "products": None}
    found = checked(connected, companies=companies, matches=None, exchanges=None, materials={"ewc": "properties->>ewc"})
    assert "properties->>ewc" in found.tables["materials"]
    assert "branch" in found.tables["firms"]


def test_a_time_of_change_that_the_mapping_names_must_be_there(connected: Settings) -> None:
    with pytest.raises(ConfigurationError, match="companies has no column 'modified'"):
        checked(connected, companies={"changed": "modified"})


def test_the_right_to_write_is_asked_for(project: Project, connected: Settings) -> None:
    project.sql("revoke insert on ai_feedback_events from service_role")
    with pytest.raises(MarketplaceError, match=r"ai_feedback_events.*403, 42501.*ism\.sql"):
        checked(connected)
    assert project.sql("select 1 as it from ai_matches") == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"companies": {"nmae": "title"}}, r"companies\.nmae"),
        ({"companies": {"name": "title; drop table x"}}, r"companies\.name.*give a column"),
        ({"companies": {"table": "a.b"}}, r"companies\.table.*letters, digits"),
        ({"companies": {"name": None}}, r"companies\.name"),
        ({"materials": {"types": {"rubbish": "waste"}}}, r"materials\.types\.rubbish"),
        ({"materials": {"units": {"bag": 0}}}, r"materials\.units\.bag"),
        ({"matches": {"outcomes": {"won": "victory"}}}, r"matches\.outcomes\.won"),
        ({"material": {}}, "material"),
        ([], "the whole"),
    ],
)
def test_a_mapping_that_cannot_be_used_names_its_entry(tmp_path: Path, body: Any, words: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(body))
    with pytest.raises(ConfigurationError, match=rf"mapping\.json.*{words}"):
        load_mapping(path)


@pytest.mark.parametrize(("body", "words"), [("{", "no JSON"), ("[" * 100_000, "no JSON"), (" " * 2**21, "larger")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, body: str, words: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(body)
    with pytest.raises(ConfigurationError, match=words):
        load_mapping(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_mapping(tmp_path / "none.json")


def test_words_are_compared_without_regard_to_case(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text('{"materials": {"types": {"WASTE ": "offer"}}}')
    assert load_mapping(path).materials.types == {"waste": "offer"}
    assert load_mapping(path).digest() != load_mapping(None).digest()
