from pathlib import Path

import pytest

from ism.domain.errors import EngineError
from ism.retraining.search import OptimizerSearch


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
