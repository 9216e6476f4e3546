"""The door to the optimizer runs by itself, for debugging."""

import os
import subprocess
import sys
from pathlib import Path

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
