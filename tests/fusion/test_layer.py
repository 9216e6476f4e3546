import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.domain.engine import EngineOutput
from ism.domain.errors import InvalidInputError
from ism.fusion.layer import AIFusionLayer
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS

SCORES = st.dictionaries(st.sampled_from(sorted(DEFAULT_WEIGHTS)), st.floats(0, 1), min_size=1)


def fuse(scores, **options):
    return AIFusionLayer(**options).fuse([EngineOutput(name, score) for name, score in scores.items()])


def test_four_engines_by_hand():
    result = fuse({"gnn": 0.8, "federated": 0.6, "knowledge_graph": 0.4, "matching": 0.9})
    assert result.final_score == pytest.approx(0.24 + 0.15 + 0.10 + 0.18)
    assert result.engine_contributions == pytest.approx(
        {"gnn": 0.24, "federated": 0.15, "knowledge_graph": 0.10, "matching": 0.18}
    )
    assert result.metadata["missing_engines"] == []
    assert result.metadata["engine_count"] == 4
    assert result.metadata["fusion_model_id"] == "default_weighted_sum"
    assert 0 <= result.metadata["processing_time"] < 1
    assert (datetime.now(UTC) - result.timestamp).total_seconds() < 10
    assert result.explanation.startswith("Score 0.67 is the sum of gnn 0.24, matching 0.18, federated 0.15")


def test_absent_engines_are_named_and_their_weight_shared():
    result = fuse({"gnn": 0.8, "matching": 0.9})
    assert result.engine_contributions == pytest.approx({"gnn": 0.8 * 0.6, "matching": 0.9 * 0.4})
    assert result.final_score == pytest.approx(0.84)
    assert result.metadata["missing_engines"] == ["federated", "knowledge_graph"]
    assert "Without federated, knowledge graph" in result.explanation
    assert result.confidence < fuse(dict.fromkeys(DEFAULT_WEIGHTS, 0.84)).confidence


@given(SCORES)
def test_contributions_add_up(scores):
    result = fuse(scores)
    assert sum(result.engine_contributions.values()) == pytest.approx(result.final_score, abs=1e-9)
    assert 0 <= result.final_score <= 1
    assert 0 <= result.confidence <= 1
    assert set(result.engine_contributions) == set(scores)


def test_the_order_of_outputs_does_not_matter():
    scores = {"gnn": 0.31, "federated": 0.62, "matching": 0.93}
    there, back = fuse(scores), fuse(dict(reversed(scores.items())))
    assert there.final_score == pytest.approx(back.final_score, abs=1e-12)


def test_bad_outputs_are_refused():
    layer = AIFusionLayer()
    with pytest.raises(InvalidInputError, match="at least one engine"):
        layer.fuse([])
    with pytest.raises(InvalidInputError, match=r"'gnn'.*one output of each engine"):
        layer.fuse([EngineOutput("gnn", 0.1), EngineOutput("matching", 0.1), EngineOutput("gnn", 0.2)])
    with pytest.raises(InvalidInputError, match="'oracle'"):
        layer.fuse([EngineOutput("oracle", 0.1)])
    for score in (float("nan"), -0.01, 1.01, float("inf"), "0.5", None, True):
        with pytest.raises(InvalidInputError, match="confidence_score"):
            EngineOutput("gnn", score)
    with pytest.raises(InvalidInputError, match="engine_name"):
        EngineOutput("", 0.5)


def test_a_score_that_was_spoilt_later_is_refused_too():
    output = EngineOutput("gnn", 0.5)
    output.confidence_score = float("nan")
    with pytest.raises(InvalidInputError, match="confidence_score: nan"):
        AIFusionLayer().fuse([output])


def test_own_weights():
    result = fuse({"a": 1.0, "b": 0.0}, weights={"a": 1, "b": 3})
    assert result.final_score == pytest.approx(0.25)
    with pytest.raises(InvalidInputError, match=r"weights\.a"):
        AIFusionLayer({"a": -1})
    with pytest.raises(InvalidInputError, match=r"weights\.a"):
        AIFusionLayer({"a": "much"})  # type: ignore[dict-item]  # wrong on purpose


def test_models_are_copies():
    given = dict(DEFAULT_WEIGHTS)
    layer = AIFusionLayer(given)
    given["gnn"] = 99.0
    [model] = layer.get_fusion_models()
    assert (model.model_id, model.model_type, model.version) == ("default_weighted_sum", "weighted_sum", 1)
    assert model.weights == DEFAULT_WEIGHTS
    model.weights["gnn"] = 99.0
    model.parameters["x"] = 1
    [again] = layer.get_fusion_models()
    assert (again.weights, again.parameters) == (DEFAULT_WEIGHTS, {})


def test_awaiting_is_the_same_as_calling():
    outputs = [EngineOutput("gnn", 0.8), EngineOutput("matching", 0.9)]
    layer = AIFusionLayer()
    assert asyncio.run(layer.fuse_engine_outputs(outputs)).final_score == layer.fuse(outputs).final_score
