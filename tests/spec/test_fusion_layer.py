"""The calls that the specification prints for the fusion layer, as they are printed."""

import asyncio

import pytest

import ism.domain.engine
import ism.fusion.layer
from backend import ai_fusion_layer
from backend.ai_fusion_layer import AIFusionLayer, EngineOutput, FusionModel, FusionResult


def test_the_calls_as_printed():
    async def printed() -> tuple[FusionResult, list[FusionModel]]:
        fusion_layer = AIFusionLayer()
        result = await fusion_layer.fuse_engine_outputs([
            EngineOutput(engine_name='gnn', confidence_score=0.8),
            EngineOutput(engine_name='matching', confidence_score=0.9)
        ])  # fmt: skip
        models = fusion_layer.get_fusion_models()
        return result, models

    result, models = asyncio.run(printed())
    assert isinstance(result, FusionResult)
    assert result.final_score == pytest.approx((0.30 * 0.8 + 0.20 * 0.9) / 0.50)
    assert sum(result.engine_contributions.values()) == pytest.approx(result.final_score, abs=1e-9)
    assert result.metadata["missing_engines"] == ["federated", "knowledge_graph"]
    assert [model.model_id for model in models] == ["default_weighted_sum", "rrf", "adaptive"]
    assert models[0].weights == {"gnn": 0.30, "federated": 0.25, "knowledge_graph": 0.25, "matching": 0.20}


def test_a_model_is_made_active_as_printed():
    fusion_layer = AIFusionLayer()
    success = fusion_layer.set_active_model('adaptive')  # fmt: skip
    assert success is True
    assert fusion_layer.get_active_model().model_id == "adaptive"
    assert fusion_layer.set_active_model("gone") is False
    fusion_layer.close()


def test_the_door_opens_onto_the_very_same_objects():
    assert ai_fusion_layer.__all__ == ["AIFusionLayer", "EngineOutput", "FusionModel", "FusionResult"]
    assert AIFusionLayer is ism.fusion.layer.AIFusionLayer
    for name in ("EngineOutput", "FusionModel", "FusionResult"):
        assert getattr(ai_fusion_layer, name) is getattr(ism.domain.engine, name)


def test_outputs_carry_what_the_contract_lists():
    output = EngineOutput(
        engine_name="gnn",
        confidence_score=0.8,
        prediction={"receiver": "kiln"},
        features={"degree": 3},
        metadata={"version": 1},
        processing_time=0.02,
    )
    assert output.timestamp.utcoffset() is not None
    short = EngineOutput("gnn", 1)
    assert (short.prediction, short.features, short.metadata, short.processing_time) == (None, {}, {}, 0.0)
