"""What may be asked for, and what is refused."""

import pytest

from backend import ai_hyperparameter_optimizer
from ism.domain.errors import InvalidInputError
from ism.engines.base import Param
from ism.settings import Settings
from ism.tuning.config import OptimizationConfig, config_of
from ism.tuning.objective import Objective, check_engine, engine_objective
from ism.tuning.space import narrowed, of_json, to_json

SPACE = {
    "rounds": Param(200, 20, 600),
    "rate": Param(0.05, 0.01, 0.2, log=True),
    "kind": Param("a", choices=("a", "b")),
}


def test_the_door_opens_onto_the_very_same_objects():
    assert ai_hyperparameter_optimizer.__all__ == ["AIHyperparameterOptimizer", "OptimizationConfig"]
    assert ai_hyperparameter_optimizer.OptimizationConfig is OptimizationConfig


@pytest.mark.parametrize(
    ("model", "trials", "seconds"),
    [("gnn", 50, 3600), ("federated", 40, 2400), ("matching", 30, 1800), ("knowledge_graph", 30, 1800)],
)
def test_presets(model, trials, seconds):
    config = OptimizationConfig(model)
    assert (config.n_trials, config.timeout) == (trials, seconds)
    assert (config.optimization_type, config.metric, config.direction) == ("bayesian", "accuracy", "maximize")
    assert OptimizationConfig(model, n_trials=1, timeout=2).budget == (1, 2.0)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"model_name": ""}, "model_name"),
        ({"model_name": None}, "model_name"),
        ({"optimization_type": "grid"}, "optimization_type"),
        ({"n_trials": 0}, "n_trials"),
        ({"n_trials": 2.5}, "n_trials"),
        ({"n_trials": True}, "n_trials"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": "1h"}, "timeout"),
        ({"metric": ""}, "metric"),
        ({"direction": "up"}, "direction"),
        ({"seed": -1}, "seed"),
        ({"constraints": {"max_cost": 3}}, "constraints.max_cost"),
        ({"constraints": {"max_memory": -3}}, "constraints.max_memory"),
        ({"constraints": {"min_score": "good"}}, "constraints.min_score"),
        ({"constraints": 3}, "constraints"),
        ({"search_space": {}}, "search_space"),
    ],
)
def test_bad_values_are_refused_by_name(given, field):
    with pytest.raises(InvalidInputError) as refused:
        OptimizationConfig(**{"model_name": "matching", **given})
    assert refused.value.field == field
    assert refused.value.remedy


def test_unknown_names_are_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"trials: 3 .*n_trials"):
        config_of({"model_name": "matching", "trials": 3})
    with pytest.raises(InvalidInputError, match="model_name"):
        config_of({})
    config = OptimizationConfig("gnn", constraints={"max_memory": 100})
    assert config_of(config.to_json()) == config


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"model_name": "oracle"}, "model_name"),
        ({"metric": "auc"}, "metric"),
        ({"direction": "minimize"}, "direction"),
        ({"search_space": {"depth": {"low": 1, "high": 2}}}, "search_space.depth"),
        ({"search_space": {"rounds": {"low": 1, "high": 100}}}, "search_space.rounds.low"),
        ({"search_space": {"rounds": {"low": 100, "high": 50}}}, "search_space.rounds"),
        ({"search_space": {"rounds": [20, 40]}}, "search_space.rounds"),
        ({"search_space": {"rounds": {"low": 20}}}, "search_space.rounds"),
        ({"search_space": {"rounds": {"choices": [20, 7000]}}}, "search_space.rounds"),
    ],
)
def test_what_an_engine_cannot_do_is_refused_by_name(given, field):
    with pytest.raises(InvalidInputError) as refused:
        check_engine(OptimizationConfig(**{"model_name": "matching", **given}))
    assert refused.value.field == field


def test_a_space_can_be_narrowed():
    found = narrowed(SPACE, {"rounds": {"low": 50, "high": 60}, "kind": {"choices": ["b"]}, "rate": SPACE["rate"]})
    assert (found["rounds"].low, found["rounds"].high, found["rounds"].default) == (50, 60, 200)
    assert found["kind"].choices == ("b",)
    assert found["rate"] == SPACE["rate"]
    assert narrowed(SPACE, None) == SPACE
    assert of_json(to_json(SPACE)) == SPACE


def test_an_objective_names_a_function_and_a_space():
    with pytest.raises(InvalidInputError, match=r"objective.call"):
        Objective("no function", {}, SPACE)
    with pytest.raises(InvalidInputError, match=r"objective.space"):
        Objective("module:function")
    one = Objective("module:function", {"a": 1}, SPACE)
    assert Objective.of_json(one.to_json()) == one


def test_what_people_decided_about_an_engine_reaches_its_trials(tmp_path):
    policies = Settings(_env_file=None, federated_epsilon=8.0).engine_policies()
    objective = engine_objective(OptimizationConfig("federated"), tmp_path, policies=policies)
    assert objective.arguments["policy"] == policies["federated"]
    assert engine_objective(OptimizationConfig("matching"), tmp_path, policies=policies).arguments["policy"] == {}
