import asyncio
import gc
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.domain.engine import EngineOutput
from ism.domain.errors import InvalidInputError
from ism.domain.fusion import MaturedOutcomes
from ism.fusion.layer import AIFusionLayer
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS
from ism.storage import open_sqlite

SCORES = st.dictionaries(st.sampled_from(sorted(DEFAULT_WEIGHTS)), st.floats(0, 1), min_size=1)


def fuse(scores, weights=None):
    return AIFusionLayer(DEFAULT_WEIGHTS if weights is None else weights).fuse(
        [EngineOutput(name, score) for name, score in scores.items()]
    )


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


# --- models, switches, learning -------------------------------------------------------------------


def labelled(count):
    """*Simulated*: gnn is right, matching says nothing."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.05, 0.95, count)
    return MaturedOutcomes(
        [f"r-{number}" for number in range(count)],
        {"gnn": truth, "matching": rng.uniform(0.05, 0.95, count)},
        (rng.random(count) < truth).astype(float),
        np.ones(count),
        [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(count)],
    )


def test_the_default_folder_keeps_what_was_chosen(default_folder):
    with AIFusionLayer() as layer:
        assert not default_folder.exists()  # opened when first needed
        assert layer.set_active_model("adaptive", actor="ann") is True
        other = AIFusionLayer()  # shares what is open in this process
        assert other.get_active_model().model_id == "adaptive"
        other.close()
    with AIFusionLayer() as again:
        assert again.get_active_model().model_id == "adaptive"
        assert again.fuse([EngineOutput("gnn", 0.8)]).metadata["fusion_model_id"] == "adaptive"
        assert [switch.actor for switch in again.switches()] == ["ann"]


def test_the_folder_is_free_again_when_the_layer_is_gone(default_folder):
    layer = AIFusionLayer()
    layer.get_fusion_models()
    del layer
    gc.collect()
    open_sqlite(default_folder).close()


def test_an_unknown_model_changes_nothing_and_is_logged(caplog):
    layer = AIFusionLayer({"gnn": 1.0})
    assert layer.set_active_model("gone") is False
    assert "no fusion model 'gone'" in caplog.text
    assert layer.get_active_model().model_id == "default_weighted_sum"


def test_a_switch_changes_answers_and_is_taken_back():
    with AIFusionLayer() as layer:
        outputs = [EngineOutput("gnn", 0.8, metadata={"rank": 1}), EngineOutput("matching", 0.2, metadata={"rank": 3})]
        before = layer.fuse(outputs).final_score
        assert layer.set_active_model("rrf")
        ranked = layer.fuse(outputs)
        assert ranked.final_score == pytest.approx((1 + 61 / 63) / 2)
        assert sum(ranked.engine_contributions.values()) == pytest.approx(ranked.final_score)
        with pytest.raises(InvalidInputError, match=r"metadata\.rank"):
            layer.fuse([EngineOutput("gnn", 0.8)])
        layer.revert()
        assert layer.fuse(outputs).final_score == before


def test_outcomes_move_the_adaptive_weights_and_teach_a_model():
    with AIFusionLayer() as layer:
        assert layer.observe(labelled(200)) == 200
        assert layer.observe(labelled(200)) == 0
        layer.set_active_model("adaptive")
        weights = layer.get_active_model().weights
        assert weights["gnn"] > 5 * weights["matching"]
        assert len(layer.weight_history()) == 200
        model = layer.learn(labelled(200))
        assert model.model_id == "learned_weighted_sum"
        assert model.weights["gnn"] > 0.8
        assert model.performance_metrics["log_loss"] < model.performance_metrics["default"]["log_loss"]
        assert layer.learn(labelled(200)).version == model.version == 1
        assert layer.learn(labelled(29)) is None
        assert layer.get_active_model().model_id == "adaptive"
        assert {each.model_id for each in layer.get_fusion_models()} >= {"learned_weighted_sum", "adaptive", "rrf"}


def test_either_weights_or_a_store():
    with pytest.raises(InvalidInputError, match="store"):
        AIFusionLayer({"gnn": 1.0}, store=object())  # type: ignore[arg-type]  # wrong on purpose
