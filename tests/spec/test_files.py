"""Files and commands that the specification names."""

import subprocess
import sys
from pathlib import Path

import pytest
from launching import BACKEND

DOORS = [
    "ai_feedback_orchestrator",
    "ai_fusion_layer",
    "ai_hyperparameter_optimizer",
    "ai_retraining_pipeline",
    "ai_monitoring_dashboard",
    "ai_production_orchestrator",
]


@pytest.mark.parametrize("name", [*DOORS, "start_production_ai_system"])
def test_each_component_has_its_file(name):
    assert (BACKEND / f"{name}.py").is_file()


def test_requirements_are_one_file():
    lines = (BACKEND.parent / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["-c constraints.txt", "-e ."]


def test_the_fusion_layer_runs_by_itself(default_folder: Path):
    lines = (
        '[{"engine_name": "gnn", "confidence_score": 0.8}, {"engine_name": "matching", "confidence_score": 0.9}]\n'
        "nonsense\n"
        '[{"engine_name": "gnn"}]\n'
    )
    script = [sys.executable, str(BACKEND / "ai_fusion_layer.py")]
    done = subprocess.run(script, input=lines, capture_output=True, text=True, timeout=120, check=True)
    assert "by itself" in done.stderr
    first, fused, broken, refused = done.stdout.splitlines()
    assert '"active_model": "default_weighted_sum"' in first
    assert '"final_score": 0.84' in fused
    assert "not JSON" in broken
    assert "engine_outputs[0]" in refused
    assert (default_folder / "ism.sqlite3").is_file()


def test_the_production_orchestrator_runs_by_itself(tmp_path: Path):
    from launching import launched

    with launched(tmp_path / "data", script=BACKEND / "ai_production_orchestrator.py") as it:
        it.wait(lambda it: "without web page" in (tmp_path / "said.txt").read_text())
        it.wait(lambda it: (tmp_path / "data" / "ism.sqlite3").is_file())
        code, took = it.stop()
    assert code == 0
    assert took < 10
