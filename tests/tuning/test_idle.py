"""Continuous search: small rounds while idle, and out of the way otherwise."""

import pytest

from ism.settings import Settings
from ism.tuning.config import OptimizationConfig
from ism.tuning.idle import ContinuousSearch, Load, measure_load

IDLE, BETWEEN, BUSY, FULL = Load(5, 40), Load(45, 40), Load(90, 40), Load(5, 95)


class Recorded:
    """Stands in for the optimizer: searches that end when they are told to."""

    def __init__(self):
        self.searches: dict[str, dict] = {}

    def submit(self, config: OptimizationConfig, *, name: str | None = None) -> str:
        key = name or f"asked{len(self.searches)}"
        self.searches[key] = {
            "optimization_id": key, "status": "running", "paused": False, "n_trials": 0, "wanted": config.n_trials
        }  # fmt: skip
        return key

    def extend(self, optimization_id: str, n_trials: int) -> None:
        self.searches[optimization_id].update(status="running", wanted=n_trials)

    def pause(self, optimization_id: str, paused: bool = True) -> None:
        self.searches[optimization_id]["paused"] = paused

    def get_optimization_status(self, optimization_id: str) -> dict:
        return self.searches.get(optimization_id, {"status": "not_found"})

    def list_optimizations(self) -> list[dict]:
        return [*self.searches.values()]

    def finish(self, name: str) -> None:
        self.searches[name].update(status="completed", n_trials=self.searches[name]["wanted"])


@pytest.fixture
def machine():
    return {"load": IDLE, "version": 3}


@pytest.fixture
def optimizer():
    return Recorded()


@pytest.fixture
def search(machine, optimizer):
    settings = Settings(_env_file=None, tuning_continuous_trials=20)
    models = ["matching", "knowledge_graph"]
    return ContinuousSearch(optimizer, models, lambda: machine["version"], settings, lambda: machine["load"])


def test_rounds_take_turns_and_grow_to_the_preset(search, optimizer):
    assert search.step() == "started"
    one, two = "continuous-matching-3", "continuous-knowledge-graph-3"
    assert optimizer.searches[one]["wanted"] == 20
    assert search.step() == "waited"
    optimizer.finish(one)
    assert search.step() == "started"
    optimizer.finish(two)
    assert search.step() == "started"
    assert optimizer.searches[one]["wanted"] == 30  # the preset
    optimizer.finish(one)
    assert search.step() == "started"
    optimizer.finish(two)
    assert search.step() == "nothing"  # until the market changes


def test_a_new_market_begins_a_new_search(search, optimizer, machine):
    search.step()
    optimizer.finish("continuous-matching-3")
    machine["version"] = 4
    search.step()
    search.step()
    assert "continuous-knowledge-graph-4" in optimizer.searches


@pytest.mark.parametrize("load", [BUSY, FULL])
def test_a_busy_machine_pauses_it_and_an_idle_one_resumes_it(search, optimizer, machine, load):
    search.step()
    machine["load"] = load
    assert search.step() == "paused"
    assert optimizer.searches["continuous-matching-3"]["paused"]
    assert search.step() == "waited"
    machine["load"] = BETWEEN  # neither idle enough to start nor busy enough to stop
    assert search.step() == "waited"
    machine["load"] = IDLE
    assert search.step() == "resumed"
    assert not optimizer.searches["continuous-matching-3"]["paused"]
    machine["load"] = BETWEEN
    assert search.step() == "waited"
    assert not optimizer.searches["continuous-matching-3"]["paused"]


def test_people_come_first(search, optimizer):
    search.step()
    asked = optimizer.submit(OptimizationConfig("matching"))
    assert search.step() == "paused"
    assert search.step() == "waited"
    optimizer.finish(asked)
    assert search.step() == "resumed"


def test_the_load_of_others_is_seen():
    load = measure_load(0.2)
    assert 0 <= load.others_cpu_percent <= 100
    assert 0 < load.memory_percent <= 100
