"""The calls that the specification prints for the optimizer, as they are printed; and its door runs by itself."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ism.tuning.config
import ism.tuning.optimizer
from backend import ai_hyperparameter_optimizer
from backend.ai_hyperparameter_optimizer import AIHyperparameterOptimizer, OptimizationConfig

DOOR = Path(__file__).parents[2] / "backend" / "ai_hyperparameter_optimizer.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ISM_DATA_DIR": str(folder / "data"), "ISM_DEMO_MARKET": "false"}
    return subprocess.run(
        [sys.executable, str(DOOR), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_it_says_what_it_does_and_ends_when_nothing_is_left(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "carries on unfinished searches" in done.stderr
    assert str(tmp_path / "data") in done.stderr


def test_what_cannot_be_used_is_named(tmp_path):
    done = run(tmp_path, "oracle", "3")
    assert done.returncode == 1
    assert "model_name: 'oracle' cannot be used" in done.stderr
    assert "n_trials: 'many'" in run(tmp_path, "matching", "many").stderr


def test_the_calls_as_printed(monkeypatch: pytest.MonkeyPatch):
    async def printed():
        optimizer = AIHyperparameterOptimizer()
        optimization_id = await optimizer.optimize_hyperparameters(
            OptimizationConfig(
                model_name='matching',
                optimization_type='bayesian',
                n_trials=50,
                timeout=3600,
                metric='accuracy',
                direction='maximize'
            )
        )  # fmt: skip
        status = optimizer.get_optimization_status(optimization_id)
        optimizer.cancel(optimization_id)
        optimizer.close()
        return optimization_id, status

    optimization_id, status = asyncio.run(printed())
    assert (status["status"], status["optimization_id"]) == ("running", optimization_id)
    assert {"progress", "best_score", "best_params", "n_trials", "duration", "start_time", "completed_at"} <= set(
        status
    )


def test_the_door_opens_onto_the_very_same_objects():
    assert ai_hyperparameter_optimizer.__all__ == ["AIHyperparameterOptimizer", "OptimizationConfig"]
    assert AIHyperparameterOptimizer is ism.tuning.optimizer.AIHyperparameterOptimizer
    assert OptimizationConfig is ism.tuning.config.OptimizationConfig
