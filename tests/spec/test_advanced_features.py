"""The methods of fusion and of search that the specification lists, each of them tried."""

import asyncio

import numpy as np
import pytest

from backend.ai_fusion_layer import AIFusionLayer, EngineOutput
from backend.ai_hyperparameter_optimizer import AIHyperparameterOptimizer, OptimizationConfig
from ism.fusion.learn import Pairs, learn
from ism.settings import Settings
from ism.storage import open_store
from ism.testing.history import history

ENGINES = ["gnn", "federated", "knowledge_graph", "matching"]


@pytest.fixture(scope="module")
def learnt():
    """Fusion models learnt from *simulated* outcomes, of which the first engine knows most."""
    rng = np.random.default_rng(0)
    questions, size = 60, 12
    odds = rng.normal(-2, 1.5, questions * size)
    relevant = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
    relevant[::size] = True
    said = [odds + rng.normal(0, width, len(odds)) for width in (0.3, 1.5, 1.5, 3.0)]
    question = np.repeat(np.arange(questions), size)
    pairs = Pairs(1 / (1 + np.exp(-np.stack(said, axis=1))), ENGINES, relevant, question, question % 3)
    return [each.model for each in learn(pairs)]


def test_weighted_sum_ml_model_and_ensemble(learnt):
    assert {model.model_type for model in learnt} == {"weighted_sum", "ml_model", "ensemble"}
    (weighted,) = [model for model in learnt if model.model_type == "weighted_sum"]
    assert max(weighted.weights, key=weighted.weights.get) == "gnn"  # optimal weights are learnt


def test_adaptive_weights_and_an_explanation_of_each_result():
    layer = AIFusionLayer()
    assert layer.set_active_model("adaptive")
    outputs = [EngineOutput(name, 0.2 + 0.2 * number) for number, name in enumerate(ENGINES)]
    result = asyncio.run(layer.fuse_engine_outputs(outputs))
    layer.close()
    assert set(result.engine_contributions) == set(ENGINES)
    assert sum(result.engine_contributions.values()) == pytest.approx(result.final_score, abs=1e-9)
    assert result.explanation
    assert 0 <= result.confidence <= 1


@pytest.fixture(scope="module")
def optimizer(tmp_path_factory):
    """On a simulated market with a past."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("search") / "data", _env_file=None)
    companies, exchanges = history(12)
    with open_store(settings) as store:
        store.bulk_upsert([*companies, *exchanges])
    with AIHyperparameterOptimizer(settings) as opened:
        yield opened


@pytest.mark.parametrize("algorithm", ["bayesian", "random", "cmaes"])
def test_each_algorithm_searches(optimizer, algorithm):
    config = OptimizationConfig("matching", algorithm, n_trials=2, timeout=300)
    found = optimizer.wait(optimizer.submit(config), 300)
    assert (found["status"], found["n_trials"], found["progress"]) == ("completed", 2, 1.0), found
    assert 0 < found["best_score"] <= 1
    assert found["best_params"]


def test_resource_and_performance_constraints(optimizer):
    constraints = {"max_training_time": 0.001, "max_memory": 4096, "min_score": 0.1}
    config = OptimizationConfig("matching", "random", n_trials=1, timeout=300, constraints=constraints)
    found = optimizer.wait(optimizer.submit(config), 300)
    assert found["best_params"] is None  # no training is that short
    assert found["best_score"] is None
