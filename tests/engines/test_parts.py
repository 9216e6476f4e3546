"""Parameters, files, catalogue and precedents as reasons: what engines share."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from ism.domain.errors import EngineError, InvalidInputError, NotFoundError
from ism.engines import catalog
from ism.engines.base import Param
from ism.engines.files import numbers, read_about, write_about
from ism.engines.knowledge_graph import KnowledgeGraphEngine
from ism.engines.matching import MatchingEngine
from ism.engines.params import resolve
from ism.engines.reasons import precedent_reasons
from ism.testing.sample import WordEncoder, sample

SPACE = {
    "rounds": Param(200, 20, 600, unit="trees"),
    "rate": Param(0.05, 0.01, 0.2),
    "kind": Param("a", choices=("a", "b")),
}


def test_parameters_overlay_the_defaults():
    assert resolve(SPACE, None) == {"rounds": 200, "rate": 0.05, "kind": "a"}
    found = resolve(SPACE, {"rounds": 20.0, "rate": 0.2, "kind": "b"})
    assert found == {"rounds": 20, "rate": 0.2, "kind": "b"}
    assert type(found["rounds"]) is int


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 3}, r"params\.depth: 3 .*kind, rate, rounds"),
        ({"rounds": 19}, r"params\.rounds: 19 .*from 20 to 600 \(trees\)"),
        ({"rounds": 100.5}, r"params\.rounds: 100\.5 .*whole number"),
        ({"rounds": True}, r"params\.rounds: True .*number"),
        ({"rate": float("nan")}, r"params\.rate: nan .*number"),
        ({"rate": "0.1"}, r"params\.rate: '0\.1' .*number"),
        ({"kind": "c"}, r"params\.kind: 'c' .*\['a', 'b'\]"),
    ],
)
def test_bad_parameters_are_refused_by_name(given, message):
    with pytest.raises(InvalidInputError, match=message):
        resolve(SPACE, given)


def test_an_about_file_seals_its_neighbours(tmp_path: Path):
    (tmp_path / "trees.txt").write_text("oak")
    write_about(tmp_path, "toy", 3, weights={"a": 1.5, "b": -0.25})
    about = read_about(tmp_path, "toy", 3)
    assert numbers(tmp_path, about, "weights", ["a", "b"]) == [1.5, -0.25]
    (tmp_path / "notes.tmp").write_text("somebody's")  # what was not there is no damage
    read_about(tmp_path, "toy", 3)
    for name, version in (("toy", 2), ("other", 3)):
        with pytest.raises(EngineError, match="Fit the engine again"):
            read_about(tmp_path, name, version)
    (tmp_path / "trees.txt").write_text("elm")
    with pytest.raises(EngineError, match=r"trees\.txt is damaged"):
        read_about(tmp_path, "toy", 3)
    (tmp_path / "trees.txt").unlink()
    with pytest.raises(EngineError, match=r"trees\.txt cannot be read"):
        read_about(tmp_path, "toy", 3)


def test_a_changed_number_is_damage(tmp_path: Path):
    write_about(tmp_path, "toy", 1, weights={"a": 1.5})
    text = (tmp_path / "engine.json").read_text()
    assert "1.5" in text
    (tmp_path / "engine.json").write_text(text.replace("1.5", "1.6"))
    with pytest.raises(EngineError, match="damaged"):
        read_about(tmp_path, "toy", 1)


@pytest.mark.parametrize(
    "weights", [None, [1, 2], {"a": 1}, {"b": 1, "a": 2}, {"a": 1, "b": "2"}, {"a": 1, "b": float("inf")}]
)
def test_numbers_of_another_version_are_refused(tmp_path: Path, weights):
    with pytest.raises(EngineError, match="weights"):
        numbers(tmp_path, {"weights": weights}, "weights", ["a", "b"])


def test_the_catalogue_makes_and_loads_by_name(tmp_path: Path):
    encoder, case = WordEncoder(), sample(WordEncoder())
    for name, kind in (("matching", MatchingEngine), ("knowledge_graph", KnowledgeGraphEngine)):
        engine = catalog.make(name, encoder)
        assert type(engine) is kind
        assert engine.name == name
        engine.fit(case.snapshot)
        engine.save(tmp_path / name)
        assert type(catalog.load(name, tmp_path / name, encoder)) is kind
    with pytest.raises(EngineError):
        catalog.load("matching", tmp_path / "knowledge_graph", encoder)
    with pytest.raises(NotFoundError, match="'oracle'"):
        catalog.make("oracle", encoder)


def test_guests_come_by_entry_point_and_take_nobodys_name(monkeypatch):
    points = [
        EntryPoint("guest", "ism.engines.matching:MatchingEngine", "ism.engines"),
        EntryPoint("matching", "ism.engines.knowledge_graph:KnowledgeGraphEngine", "ism.engines"),
    ]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points if group == "ism.engines" else [])
    assert catalog.names() == [*catalog.ENGINES, "guest"]
    assert catalog.engine_class("guest") is MatchingEngine
    assert catalog.engine_class("matching") is MatchingEngine


def test_precedents_as_reasons_are_own_and_close():
    case = sample(WordEncoder())
    market = case.built.market
    reasons = precedent_reasons(market, case.obvious, case.best, "toy")
    assert len(reasons) == 3
    assert all(reason.text.startswith("Precedent: coal fly ash") for reason in reasons)
    assert [reason.detail["same_receiver"] for reason in reasons[:2]] == [True, True]
    assert {reason.engine for reason in reasons} == {"toy"}
    assert reasons[0].detail["similarity"] == 1.0
    assert reasons[0].strength == pytest.approx(1.0)  # same text and same code: 0.7 + 0.3
    stranger = case.built.row_of["nace:62.01"]
    assert precedent_reasons(market, case.obvious, stranger, "toy") == []
    sector = precedent_reasons(market, case.obvious, case.built.row_of["nace:23.51"], "toy")
    assert sector
    assert not any(reason.detail["same_receiver"] for reason in sector)


def test_trees_learn_only_where_there_is_enough(tmp_path: Path):
    case = sample(WordEncoder())
    learnt, few = MatchingEngine(), MatchingEngine()
    learnt.fit(case.snapshot)
    rows = np.arange(5)
    few.fit(type(case.snapshot)(case.built.market.keeping(rows), case.built.groups[rows]))
    learnt.save(tmp_path / "learnt")
    few.save(tmp_path / "few")
    assert json.loads((tmp_path / "learnt" / "engine.json").read_text())["trees"] is True
    assert sorted(path.name for path in (tmp_path / "few").iterdir()) == ["engine.json"]
    scores = few.score(case.built.market, case.obvious)
    assert scores[0, case.best] == pytest.approx(1.0, abs=1e-6)  # it asks for "coal fly ash"
