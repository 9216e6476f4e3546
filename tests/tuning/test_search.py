"""The search: what it finds, what it keeps to, and what it survives."""

import json
import random
import signal
import subprocess
import sys
import time

import optuna
import pytest
from tuning_fakes import SPACE, objective

from ism.domain.errors import EngineError
from ism.tuning.config import OptimizationConfig
from ism.tuning.objective import Objective
from ism.tuning.search import Running, Search, StoppedError, best_trial, finished_trials
from ism.tuning.storage import JOURNAL, open_storage
from ism.tuning.view import view


def search(folder, wanted, trials=8, first=(), running=None, **more):
    config = OptimizationConfig("anything", n_trials=trials, timeout=900, metric="score", **more)
    found = Search("study", config, wanted, open_storage(folder), running or Running(log=folder / "log.txt"))
    found.run(first)
    return found.study


def test_finds_better_and_remembers_everything(tmp_path):
    study = search(tmp_path, objective(), trials=16, first=[{"x": 0.9, "n": 3, "kind": "a"}])
    seen = view(study)
    assert seen["n_trials"] == 16
    assert seen["trials"][0]["params"] == {"x": 0.9, "n": 3, "kind": "a"}  # the champion's come first
    assert seen["best_score"] == max(trial["score"] for trial in seen["trials"])
    assert seen["best_score"] > seen["trials"][0]["score"]
    assert set(seen["importances"]) == set(SPACE)
    assert sum(seen["importances"].values()) == pytest.approx(1.0)
    assert all(trial["peak_memory_mib"] > 10 and trial["feasible"] for trial in seen["trials"])
    assert json.loads(json.dumps(seen)) == seen
    again = optuna.load_study(study_name="study", storage=open_storage(tmp_path))
    assert view(again) == seen


@pytest.mark.parametrize("kind", ["random", "cmaes", pytest.param("gp", marks=pytest.mark.slow)])
def test_every_kind_of_search_keeps_its_budget(tmp_path, kind):
    study = search(tmp_path, objective(), trials=12, optimization_type=kind)
    assert len(finished_trials(study)) == 12


def test_minimising(tmp_path):
    study = search(tmp_path, objective(), trials=4, direction="minimize")
    assert best_trial(study).value == min(trial.value for trial in study.trials)


def test_the_same_seed_draws_the_same_parameters(tmp_path):
    one, two, other = (
        search(tmp_path / name, objective(), trials=3, seed=seed) for name, seed in (("1", 1), ("2", 1), ("3", 2))
    )
    drawn = [[trial.params for trial in study.trials] for study in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_memory_is_a_limit_and_a_constraint(tmp_path):
    study = search(
        tmp_path,
        objective("hungry", mib=600),
        first=[{"x": 1.0}, {"x": 0.0}],
        trials=2,
        constraints={"max_memory": 300},
    )
    large, small = view(study)["trials"]
    assert (large["state"], large["feasible"]) == ("pruned", False)
    assert large["constraints"]["max_memory"] > 0
    assert "MiB are allowed" in large["reason"]
    assert (small["state"], small["feasible"]) == ("complete", True)
    assert best_trial(study).params["x"] == 0.0  # though the other's score would have been higher


def test_training_time_is_a_limit_and_a_constraint(tmp_path):
    slow = Objective("tests.tuning.tuning_fakes:in_steps", {"seconds": 600.0}, SPACE)
    study = search(tmp_path, slow, trials=1, constraints={"max_training_time": 0.2})
    (trial,) = view(study)["trials"]
    assert (trial["state"], trial["feasible"]) == ("pruned", False)
    assert trial["reason"] == "A fit took more than 0.2 s."
    assert 0 < trial["constraints"]["max_training_time"] < 60


def test_a_score_below_the_least_is_not_the_best(tmp_path):
    study = search(tmp_path, objective(), trials=3, constraints={"min_score": 2.0})
    assert best_trial(study) is None
    assert {trial["feasible"] for trial in view(study)["trials"]} == {False}
    assert view(study)["best_params"] is None


def test_trials_that_fall_behind_are_ended_early(tmp_path):
    first = [{"x": value} for value in (0.9, 0.8, 0.95, 0.85, 0.92, 0.1)]
    study = search(tmp_path, objective("in_steps", seconds=0.15), trials=6, first=first)
    states = [trial["state"] for trial in view(study)["trials"]]
    assert states == ["complete"] * 5 + ["pruned"]
    assert view(study)["trials"][5]["steps"] == [0.1]
    unpruned = search(tmp_path / "none", objective("in_steps"), trials=6, first=first, running=Running(pruner="none"))
    assert {trial["state"] for trial in view(unpruned)["trials"]} == {"complete"}


def test_the_time_is_a_limit(tmp_path):
    config = OptimizationConfig("anything", n_trials=100, timeout=1.0, metric="score")
    begun = time.monotonic()
    found = Search("study", config, objective("in_steps", seconds=600.0), open_storage(tmp_path))
    found.run()
    assert time.monotonic() - begun < 300
    assert [trial["state"] for trial in view(found.study)["trials"]] == ["pruned"]


@pytest.mark.parametrize(("name", "reason"), [("failing", "no data for this"), ("not_a_number", "no finite score")])
def test_a_search_whose_trials_all_fail_says_why(tmp_path, name, reason):
    with pytest.raises(EngineError, match=rf"first 5 trials all failed.*{reason}"):
        search(tmp_path, objective(name), trials=50)


def test_parallel_trials_share_the_budget(tmp_path):
    marks = tmp_path / "marks"
    study = search(tmp_path, objective(seconds=0.05, marks=str(marks)), trials=7, running=Running(jobs=3))
    assert len(finished_trials(study)) == 7
    ran = marks.read_text(encoding="utf-8").split("\n")[:-1]
    assert len({line.split()[0] for line in ran}) == len(ran) == 7  # each in its own process


def test_a_stopped_search_goes_on_where_it_was(tmp_path):
    config = OptimizationConfig("anything", n_trials=5, timeout=900, metric="score")
    marks = tmp_path / "marks"
    wanted = objective(seconds=0.3, marks=str(marks))
    first = Search("study", config, wanted, open_storage(tmp_path))
    with pytest.raises(StoppedError):  # in the middle of the third trial
        first.run(stop=lambda: marks.is_file() and marks.read_text(encoding="utf-8").count("\n") == 3)
    before = [trial.params for trial in finished_trials(first.study)]
    assert len(before) == 2
    second = Search("study", config, wanted, open_storage(tmp_path))
    second.run()
    done = finished_trials(second.study)
    assert [trial.params for trial in done[:2]] == before
    assert len(done) == 5
    ran = [line.split()[1] for line in marks.read_text(encoding="utf-8").splitlines()]
    assert ran[2] == ran[3]  # the interrupted trial was run again, with its parameters
    assert len(set(ran)) == 5  # a resumed sampler draws new ones


_DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/tuning")
from tuning_fakes import objective
from ism.tuning.config import OptimizationConfig
from ism.tuning.search import Search
from ism.tuning.storage import open_storage
folder, trials, server = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None
config = OptimizationConfig("anything", optimization_type="random", n_trials=trials, timeout=600, metric="score")
search = Search("study", config, objective(), open_storage(folder, server))
search.run(on_trial=lambda study: print(sum(t.state.is_finished() for t in study.trials), flush=True))
"""


def kill_and_resume(folder, kills, trials, seed, server=None):
    """Kill a search at random moments, and carry it on each time; checks that no finished trial is ever lost."""
    rng, known, driver = (
        random.Random(seed),
        {},
        [sys.executable, "-c", _DRIVER, str(folder), str(trials), server or ""],
    )
    for _ in range(kills):
        process = subprocess.Popen(driver, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline()  # it has finished at least one trial more
        time.sleep(rng.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        study = optuna.load_study(study_name="study", storage=open_storage(folder, server))
        now = {trial.number: (trial.params, trial.value) for trial in finished_trials(study)}
        assert now.items() >= known.items()
        assert len(now) > len(known) or len(now) == trials
        known = now
    done = subprocess.run(driver, timeout=300, check=False)
    assert done.returncode == 0
    study = optuna.load_study(study_name="study", storage=open_storage(folder, server))
    assert len(finished_trials(study)) == trials
    assert not study.get_trials(states=(optuna.trial.TrialState.RUNNING,))


def test_kill_9_loses_no_finished_trial(tmp_path):
    kill_and_resume(tmp_path, kills=2, trials=12, seed=1)


@pytest.mark.slow
def test_kill_9_at_many_moments(tmp_path):
    kill_and_resume(tmp_path, kills=15, trials=200, seed=2)


@pytest.mark.postgres
def test_kill_9_loses_no_finished_trial_on_postgresql(tmp_path, postgres_url):
    kill_and_resume(tmp_path, kills=2, trials=12, seed=3, server=postgres_url)


@pytest.mark.slow
@pytest.mark.postgres
def test_kill_9_at_many_moments_on_postgresql(tmp_path, postgres_url):
    kill_and_resume(tmp_path, kills=15, trials=200, seed=4, server=postgres_url)


def test_a_line_that_was_cut_off_is_taken_away(tmp_path):
    search(tmp_path, objective(), trials=2)
    journal = tmp_path / JOURNAL
    whole = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"work')
    study = search(tmp_path, objective(), trials=3)
    assert journal.read_bytes().startswith(whole)
    assert len(finished_trials(study)) == 3
