from datetime import UTC, datetime, timedelta
from pathlib import Path

import counting
import pytest

from ism.app.tuning import Tuning
from ism.domain.errors import EngineError
from ism.engines.evidence import StoreEvidence
from ism.engines.snapshot_files import snapshot_digest, write_snapshot
from ism.engines.split import SplitRule
from ism.retraining.parts import Pulse
from ism.retraining.registry import Lineage
from ism.retraining.search import OptimizerSearch
from ism.retraining.snapshot import make_snapshot
from ism.settings import Settings
from ism.testing.sample import WordEncoder, sample
from ism.tuning.config import OptimizationConfig
from ism.tuning.folder import folders
from ism.tuning.optimizer import FOLDER


class FakeOptimizer:
    """Ends a search after two looks."""

    def __init__(self, status="completed"):
        self.asked, self.cancelled, self.searches, self._status = [], [], {}, status

    def submit(self, config, *, snapshot, name):
        self.asked.append((config, snapshot))
        self.searches[name] = 2
        return name

    def get_optimization_status(self, optimization_id):
        if optimization_id not in self.searches:
            return {"status": "not_found"}
        told = {"model_name": "matching", "best_params": {"rounds": 50}, "error_message": "every trial failed"}
        if optimization_id in self.cancelled:
            return {"status": "cancelled", **told}
        self.searches[optimization_id] -= 1
        return {"status": "running" if self.searches[optimization_id] > 0 else self._status, **told}

    def cancel(self, optimization_id):
        self.cancelled.append(optimization_id)
        return True


def test_the_best_parameters_come_over_those_of_the_champion():
    optimizer = FakeOptimizer()
    config = {"retraining_type": "adaptive", "n_trials": 10}
    found = OptimizerSearch(optimizer)("j", "matching", Path("train"), config, {"rounds": 9, "x": 1}, Pulse())
    assert found == {"rounds": 50, "x": 1}
    [(config, snapshot)] = optimizer.asked
    assert (config.model_name, config.n_trials, config.timeout, snapshot) == ("matching", 10, 1800.0, Path("train"))


def test_a_search_that_failed_or_was_stopped_says_so():
    with pytest.raises(EngineError, match="every trial failed"):
        OptimizerSearch(FakeOptimizer("failed"))("j", "matching", Path("train"), {}, {}, Pulse())
    stopped = FakeOptimizer()
    with pytest.raises(EngineError, match="stopped"):
        OptimizerSearch(stopped)("j", "matching", Path("train"), {}, {}, Pulse(lambda: True))
    assert stopped.cancelled == list(stopped.searches)


def test_a_job_goes_on_with_the_search_that_it_began():
    """A process that dies leaves the search to the next one, which must not begin another; what was stopped is over."""

    def dies():
        raise KeyboardInterrupt

    optimizer = FakeOptimizer()
    with pytest.raises(KeyboardInterrupt):
        OptimizerSearch(optimizer)("trigger:1/gnn", "matching", Path("train"), {}, {}, Pulse(dies))
    OptimizerSearch(optimizer)("trigger:1/gnn", "matching", Path("train"), {}, {}, Pulse())
    assert len(optimizer.asked) == 1
    optimizer.cancelled += optimizer.searches
    OptimizerSearch(optimizer)("trigger:1/gnn", "matching", Path("train"), {}, {}, Pulse())
    assert len(optimizer.asked) == 2


def test_what_a_search_found_is_taken_without_another_one():
    optimizer, config = FakeOptimizer(), {"optimization_id": "o7"}
    with pytest.raises(EngineError, match="no search 'o7'"):
        OptimizerSearch(optimizer)("j", "matching", Path("train"), config, {}, Pulse())
    optimizer.searches["o7"] = 3
    with pytest.raises(EngineError, match="stopped"):
        OptimizerSearch(optimizer)("j", "matching", Path("train"), config, {}, Pulse(lambda: True))
    assert optimizer.cancelled == []  # whoever began it may want it still
    found = OptimizerSearch(optimizer)("j", "matching", Path("train"), config, {"rounds": 9, "x": 1}, Pulse())
    assert (found, optimizer.asked) == ({"rounds": 50, "x": 1}, [])
    with pytest.raises(EngineError, match="not of gnn"):
        OptimizerSearch(optimizer)("j", "gnn", Path("train"), config, {}, Pulse())


def test_a_search_of_its_own_sees_what_a_job_would_learn_from_and_nothing_else(store, tmp_path):
    counting.fill(store)
    settings = Settings(data_dir=tmp_path / "data", _env_file=None)
    days = settings.retraining_maturity_days
    evidence, rule = StoreEvidence(store, timedelta(days=days)), SplitRule(datetime.now(UTC), days)
    of_a_job = make_snapshot(evidence, WordEncoder(), rule, tmp_path / "snapshots")
    assert of_a_job.counts["fresh"]
    tuning = Tuning(settings, store, WordEncoder())
    try:
        begun = tuning.optimizer.submit(OptimizationConfig("matching", n_trials=1))
        tuning.optimizer.cancel(begun)
    finally:
        tuning.close()
    assert snapshot_digest(settings.data_dir / FOLDER / begun / "snapshot") == of_a_job.learnt


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
