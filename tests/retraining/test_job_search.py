from pathlib import Path

import pytest

from ism.app.tuning import Tuning
from ism.domain.errors import EngineError
from ism.engines.snapshot_files import write_snapshot
from ism.retraining.registry import Lineage
from ism.retraining.search import OptimizerSearch
from ism.settings import Settings
from ism.testing.sample import WordEncoder, sample
from ism.tuning.config import OptimizationConfig
from ism.tuning.folder import folders
from ism.tuning.optimizer import FOLDER


class FakeOptimizer:
    """Ends a search after two looks."""

    def __init__(self, status="completed"):
        self.asked, self.cancelled, self._left, self._status = [], [], 2, status

    def submit(self, config, *, snapshot):
        self.asked.append((config, snapshot))
        return "o1"

    def get_optimization_status(self, optimization_id):
        self._left -= 1
        if self._left > 0:
            return {"status": "running"}
        return {"status": self._status, "best_params": {"rounds": 50}, "error_message": "every trial failed"}

    def cancel(self, optimization_id):
        self.cancelled.append(optimization_id)
        return True


def test_the_best_parameters_come_over_those_of_the_champion():
    optimizer = FakeOptimizer()
    found = OptimizerSearch(optimizer)(
        "matching", Path("train"), {"retraining_type": "adaptive", "n_trials": 10}, {"rounds": 9, "x": 1}, lambda: False
    )
    assert found == {"rounds": 50, "x": 1}
    [(config, snapshot)] = optimizer.asked
    assert (config.model_name, config.n_trials, config.timeout, snapshot) == ("matching", 10, 1800.0, Path("train"))


def test_a_search_that_failed_or_was_stopped_says_so():
    with pytest.raises(EngineError, match="every trial failed"):
        OptimizerSearch(FakeOptimizer("failed"))("matching", Path("train"), {}, {}, lambda: False)
    stopped = FakeOptimizer()
    with pytest.raises(EngineError, match="stopped"):
        OptimizerSearch(stopped)("matching", Path("train"), {}, {}, lambda: True)
    assert stopped.cancelled == ["o1"]


def test_what_serves_is_tried_first(store, registry, tmp_path):
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "engine.json").write_text("{}")
    lineage = Lineage("c" * 64, "0.1.0", {"rounds": 77}, 0, gate="PASS")
    registry.promote(registry.register("matching", folder, lineage), "ada", "first")
    write_snapshot(sample(WordEncoder()).snapshot, tmp_path / "train")
    settings = Settings(data_dir=tmp_path / "data", _env_file=None)
    tuning = Tuning(settings, store, WordEncoder())
    try:
        begun = tuning.optimizer.submit(OptimizationConfig("matching", n_trials=1), snapshot=tmp_path / "train")
        tuning.optimizer.cancel(begun)
        (made,) = folders(settings.data_dir / FOLDER)
    finally:
        tuning.close()
    assert made.request()["first"][0]["rounds"] == 77
