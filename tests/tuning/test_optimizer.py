"""The documented calls, and the life of a search from its request to its end."""

import asyncio
import json
import os
import signal
import time

import psutil
import pytest
from tuning_fakes import objective

from backend.ai_hyperparameter_optimizer import AIHyperparameterOptimizer, OptimizationConfig
from ism.domain.errors import EngineError, InvalidInputError, NotFoundError
from ism.engines.snapshot_files import read_snapshot
from ism.settings import Settings
from ism.testing.sample import WordEncoder, sample
from ism.tuning.folder import folders
from ism.tuning.objective import Objective

CONTRACT = {
    "status", "progress", "best_score", "best_params", "n_trials", "duration", "start_time", "completed_at"
}  # fmt: skip
LIMIT = 600.0  # seconds that a test waits for a search


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", _env_file=None)


@pytest.fixture
def market():
    return sample(WordEncoder()).snapshot


@pytest.fixture
def optimizer(settings, market):
    with AIHyperparameterOptimizer(settings, lambda: market) as opened:
        yield opened


def quick(**more):
    return OptimizationConfig("anything", **{"n_trials": 3, "timeout": 100, "metric": "score", **more})


def test_an_engine_is_tuned_as_the_specification_prints_it(optimizer):
    async def printed():
        optimization_id = await optimizer.optimize_hyperparameters(
            OptimizationConfig(
                model_name='matching',
                optimization_type='bayesian',
                n_trials=2,
                timeout=3600,
                metric='accuracy',
                direction='maximize'
            )
        )  # fmt: skip
        return optimization_id, optimizer.get_optimization_status(optimization_id)

    optimization_id, begun = asyncio.run(printed())
    assert begun.keys() >= CONTRACT
    assert begun["status"] == "running"
    ended = optimizer.wait(optimization_id, LIMIT)
    assert ended["status"] == "completed", ended
    assert (ended["progress"], ended["n_trials"]) == (1.0, 2)
    assert 0 < ended["best_score"] <= 1
    assert set(ended["best_params"]) <= set(_space())
    assert ended["start_time"] < ended["completed_at"]
    assert ended["duration"] > 0
    first = optimizer.get_optimization(optimization_id)["trials"][0]["params"]
    assert first == {name: param.default for name, param in _space().items()}


def test_an_unknown_search_is_not_found(optimizer):
    status = optimizer.get_optimization_status("nothing")
    assert status.keys() >= CONTRACT
    assert (status["status"], status["progress"], status["best_params"]) == ("not_found", 0.0, None)
    assert optimizer.get_optimization_status("../../etc")["status"] == "not_found"
    assert not optimizer.cancel("nothing")
    with pytest.raises(NotFoundError):
        optimizer.get_optimization("nothing")


def test_what_cannot_be_searched_is_refused_before_anything_is_written(optimizer, settings):
    with pytest.raises(InvalidInputError, match="model_name: 'oracle'"):
        optimizer.submit(OptimizationConfig("oracle"))
    with pytest.raises(InvalidInputError, match="config"):
        optimizer.submit({"model_name": "matching"})
    assert not (settings.data_dir / "tuning").exists()


def test_a_trial_opens_the_snapshot_of_its_search_and_nothing_else(optimizer, settings, market, tmp_path):
    optimization_id = optimizer.submit(OptimizationConfig("matching", n_trials=1))
    home = settings.data_dir / "tuning" / optimization_id
    arguments = json.loads((home / "request.json").read_text(encoding="utf-8"))["objective"]["arguments"]
    given = read_snapshot(home / "snapshot")
    assert arguments["snapshot"] == str((home / "snapshot").absolute())
    assert given.groups.tolist() == market.groups.tolist()
    record = tmp_path / "opened"
    audited = Objective(
        "tests.tuning.tuning_fakes:audited",
        {"record": str(record), "within": str(settings.data_dir.absolute()), **arguments},
        _space(),
    )
    other = optimizer.submit(quick(n_trials=1), audited)
    assert optimizer.wait(other, LIMIT)["status"] == "completed", optimizer.get_optimization_status(other)
    opened = record.read_text(encoding="utf-8").splitlines()
    assert opened
    assert all(path.startswith(arguments["snapshot"]) for path in opened), opened


def test_the_champion_and_the_best_of_past_searches_are_tried_first(settings, market):
    champion = {"x": 0.5, "n": 2, "kind": "b", "of another version": 1}
    with AIHyperparameterOptimizer(settings, lambda: market, champion=lambda name: champion) as optimizer:
        first = optimizer.submit(quick(), objective())
        best = optimizer.wait(first, LIMIT)["best_params"]
        second = optimizer.submit(quick(n_trials=2), objective())
        assert optimizer.wait(second, LIMIT)["status"] == "completed"
        tried = [trial["params"] for trial in optimizer.get_optimization(second)["trials"]]
        assert tried[0] == {"x": 0.5, "n": 2, "kind": "b"}
        assert best in tried


def test_what_is_better_than_what_is_in_use_is_told(settings, market):
    champion: dict[str, object] = {}
    with AIHyperparameterOptimizer(settings, lambda: market, champion=lambda name: champion) as optimizer:
        found = optimizer.submit(OptimizationConfig("matching", n_trials=2))
        part = optimizer.submit(
            OptimizationConfig("matching", n_trials=1, search_space={"lambda_l2": {"low": 1.0, "high": 9.0}})
        )
        of_a_job = optimizer.submit(OptimizationConfig("matching", n_trials=1), name="job-1")
        grows = optimizer.submit(OptimizationConfig("matching", n_trials=1), name="continuous-matching-1")
        other = optimizer.submit(quick(n_trials=1), objective())
        assert optimizer.better(0.0) == []  # nothing has ended yet
        for each in (found, part, of_a_job, grows, other):
            assert optimizer.wait(each, LIMIT)["status"] == "completed"
        trials = optimizer.get_optimization(found)["trials"]
        gained = max(trial["score"] for trial in trials) - trials[0]["score"]
        assert optimizer.better(gained) == [(found, "matching")]
        assert optimizer.better(gained + 0.001) == []
        champion["lambda_l2"] = 1.5  # something else serves meanwhile
        assert optimizer.better(0.0) == []


def test_searches_run_one_after_another_and_can_be_cancelled(optimizer):
    slow = objective("in_steps", seconds=600.0)
    first, second = optimizer.submit(quick(), slow), optimizer.submit(quick(), objective())
    third = optimizer.submit(quick(), objective())
    assert optimizer.cancel(third)  # while it waits
    _until(_drivers)
    assert len(_drivers()) == 1
    assert optimizer.get_optimization_status(second)["start_time"] is None
    assert optimizer.cancel(first)  # while it runs
    assert optimizer.wait(first, LIMIT)["status"] == "cancelled"
    assert not optimizer.cancel(first)
    assert optimizer.wait(second, LIMIT)["status"] == "completed"
    assert optimizer.wait(third, LIMIT)["status"] == "cancelled"
    shown = optimizer.optimization_status()
    assert shown["active_optimizations"] == []
    assert [each["optimization_id"] for each in shown["optimization_history"]] == [first, second, third]
    with pytest.raises(EngineError, match="cancelled"):
        optimizer.extend(first, 9)
    optimizer.extend(second, 5)
    assert optimizer.wait(second, LIMIT)["n_trials"] == 5


def test_closing_ends_the_processes_and_the_next_one_carries_on(settings, market, tmp_path):
    marks = tmp_path / "marks"
    wanted = objective(seconds=0.4, marks=str(marks))
    with AIHyperparameterOptimizer(settings, lambda: market) as first:
        name = first.submit(quick(n_trials=6), wanted)
        _until(lambda: first.get_optimization_status(name)["n_trials"] >= 2)
    assert not _drivers()
    before = [trial["params"] for trial in first.get_optimization(name)["trials"]]
    assert first.get_optimization_status(name)["status"] == "running"
    with AIHyperparameterOptimizer(settings, lambda: market) as second:  # as a new process would
        assert second.wait(name, LIMIT)["status"] == "completed"
        after = [trial["params"] for trial in second.get_optimization(name)["trials"]]
    assert after[: len(before)] == before
    assert len(after) == 6


def test_a_search_whose_process_is_killed_goes_on_by_itself(optimizer):
    name = optimizer.submit(quick(n_trials=6), objective(seconds=0.3))
    _until(lambda: optimizer.get_optimization_status(name)["n_trials"] >= 1)
    (driver,) = _drivers()
    os.kill(driver.pid, signal.SIGKILL)
    ended = optimizer.wait(name, LIMIT)
    assert (ended["status"], ended["n_trials"]) == ("completed", 6)


def test_a_search_that_fails_says_why(optimizer):
    name = optimizer.submit(quick(n_trials=9), objective("failing"))
    ended = optimizer.wait(name, LIMIT)
    assert ended["status"] == "failed"
    assert "no data for this" in ended["error_message"]
    assert ended["completed_at"] is not None


@pytest.mark.slow
def test_two_optimizers_on_one_folder_do_not_work_twice(settings, market, tmp_path):
    marks = tmp_path / "marks"
    with AIHyperparameterOptimizer(settings, lambda: market) as one:
        name = one.submit(quick(n_trials=4), objective(seconds=0.2, marks=str(marks)))
        with AIHyperparameterOptimizer(settings, lambda: market) as two:
            other = two.submit(quick(), objective())  # taken up by whoever works there
            assert two.wait(name, LIMIT)["status"] == "completed"
            assert one.wait(other, LIMIT)["status"] == "completed"
    assert marks.read_text(encoding="utf-8").count("\n") == 4


def test_half_a_request_is_no_search(optimizer, settings):
    home = settings.data_dir / "tuning"
    (home / ".new-abc").mkdir(parents=True)
    (home / ".new-abc" / "request.json").write_text("{}", encoding="utf-8")
    assert folders(home) == []
    assert optimizer.list_optimizations() == []


def _space():
    from ism.engines.catalog import engine_class

    return engine_class("matching").search_space()


def _drivers():
    found = []
    for child in psutil.Process().children():
        try:
            if any("ism.tuning.driver" in part for part in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def _until(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
