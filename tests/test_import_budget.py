"""What importing costs: heavy libraries load only where their room is used."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "sentence_transformers", "pandas", "sklearn", "prefect", "flwr"}


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after the statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps([name for name in sys.modules if '.' not in name]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module", ["ism", "ism.app.matching", "ism.fusion.layer", "ism.retraining.pipeline", "ism.app.monitoring"]
)
def test_light_imports_stay_light(module):
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_engines_load_without_the_libraries_of_fitting():
    loaded = loaded_by("from ism.engines import catalog; [catalog.engine_class(name) for name in catalog.ENGINES]")
    assert loaded & (HEAVY | {"lightgbm"}) == set()


def test_the_measure_sees_a_heavy_import():
    assert "sklearn" in loaded_by("import sklearn.isotonic")
