"""Work in processes of their own: limits, ends of every kind, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ism.domain.errors import EngineError, InvalidInputError, NotFoundError
from ism.engines import catalog
from ism.engines.files import folder_digest
from ism.engines.process import Limits, TrainingJob, Worker, train
from ism.engines.snapshot_files import MANIFEST, read_snapshot, snapshot_digest, write_snapshot
from ism.testing.sample import WordEncoder, sample

JOB = "tests.tuning.tuning_fakes:job"


@pytest.fixture(scope="module")
def worker():
    with Worker() as opened:
        yield opened


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snapshot") / "snapshot"
    write_snapshot(sample(WordEncoder()).snapshot, folder)
    return folder


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_each_job_has_a_process_of_its_own_and_one_thread(worker):
    first, second = (worker.run(JOB, {}) for _ in range(2))
    assert (first.status, first.reason) == ("done", "")
    assert first.result["pid"] != second.result["pid"] != os.getpid()
    assert first.result["threads"] == "1"
    assert first.peak_memory_mib > 10
    assert gone(first.result["pid"])


def test_reports_come_in_order_and_may_end_the_job(worker):
    seen = []
    assert worker.run(JOB, {"reports": 4}, on_report=lambda values: not seen.append(values["number"])).status == "done"
    assert seen == [0, 1, 2, 3]
    ended = worker.run(JOB, {"reports": 1, "sleep": 600}, on_report=lambda values: False)
    assert (ended.status, ended.result) == ("stopped", None)


def test_what_a_job_imports_the_worker_imports_meanwhile(tmp_path, monkeypatch):
    """So that the next job does not wait for its libraries."""
    record = tmp_path / "record"
    (tmp_path / "slow_library.py").write_text(f"import os\nprint(os.getpid(), file=open({str(record)!r}, 'a'))\n")
    (tmp_path / "waiting.py").write_text(
        "import time\nfrom pathlib import Path\n"
        "def job(record, report):\n"
        "    import slow_library\n"
        "    report({})\n"
        "    ends = time.monotonic() + 30\n"
        "    while len(Path(record).read_text().split()) < 2 and time.monotonic() < ends:\n"
        "        time.sleep(0.02)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with Worker(ahead=True) as worker:
        for _ in range(2):
            assert worker.run("waiting:job", {"record": str(record)}).status == "done"
    job, kept = record.read_text().split()  # the second job's process was forked with it
    assert job != kept != str(os.getpid())


def test_what_a_job_prints_does_not_mix_with_its_answer(tmp_path):
    log = tmp_path / "log.txt"
    with Worker(log=log) as own:
        assert own.run(JOB, {"print": '{"result": "a lie"}\n'}).result["pid"]
    assert log.read_text(encoding="utf-8").count("a lie") == 2


@pytest.mark.parametrize(
    ("values", "limits", "status", "reason"),
    [
        ({"sleep": 600}, Limits(seconds=0.3), "over_time", "longer than 0.3 s"),
        ({"take_mib": 600, "sleep": 600}, Limits(memory_mib=300), "out_of_memory", "300 MiB are allowed"),
        ({"take_mib": 600}, Limits(memory_mib=300), "out_of_memory", "300 MiB are allowed"),  # gone before it is seen
        ({"memory_error": True}, Limits(), "out_of_memory", "could not get the memory"),
        ({"signal": signal.SIGKILL}, Limits(), "out_of_memory", "operating system killed it"),
        ({"signal": signal.SIGSEGV}, Limits(), "failed", "SIGSEGV"),
        ({"exit": 3}, Limits(), "failed", "exit code 3"),
    ],
)
def test_a_job_that_goes_wrong_says_why_and_the_next_one_runs(worker, values, limits, status, reason):
    outcome = worker.run(JOB, values, limits)
    assert (outcome.status, outcome.result) == (status, None)
    assert reason in outcome.reason
    assert worker.run(JOB, {}).status == "done"


def test_errors_of_a_job_are_told(worker):
    assert "no module" in worker.run("no.such.module:function", {}).reason.casefold()
    unfitted = worker.run("ism.engines.snapshot_files:read_snapshot", {"folder": "nowhere"})
    assert unfitted.status == "failed"


def test_stopping_takes_what_the_job_started_with_it(worker, tmp_path):
    mark = tmp_path / "pids"
    outcome = worker.run(JOB, {"child": str(mark), "sleep": 600}, stop=mark.is_file)
    assert outcome.status == "stopped"
    deadline = time.monotonic() + 5
    while not (pids := mark.read_text(encoding="utf-8").split()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(gone(int(pid)) for pid in pids)


def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    mark = tmp_path / "pids"
    program = f"from ism.engines.process import Worker\nWorker().run({JOB!r}, {{'child': {str(mark)!r}, 'sleep': 600}})"
    parent = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not (mark.is_file() and mark.read_text(encoding="utf-8")) and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.kill()
    parent.wait(10)
    job, grandchild = map(int, mark.read_text(encoding="utf-8").split())
    assert gone(job)
    assert gone(grandchild)


def test_a_worker_that_was_killed_is_replaced(tmp_path):
    with Worker() as own:
        assert own.run(JOB, {}).status == "done"
        own._process.kill()
        own._process.wait(10)
        assert own.run(JOB, {}).status == "done"
    own.close()


def test_limits_are_checked():
    with pytest.raises(InvalidInputError, match=r"limits.seconds: 0"):
        Limits(seconds=0)
    with pytest.raises(InvalidInputError, match=r"limits.memory_mib: nan"):
        Limits(memory_mib=float("nan"))


def test_training_is_a_pure_function(snapshot, tmp_path, worker):
    before, told = folder_digest(snapshot), []
    job = TrainingJob("matching", snapshot, tmp_path / "one", {"rounds": 20}, seed=3)
    outcome = train(job, Limits(120, 4000), lambda share, step: told.append((share, step)), worker=worker)
    assert outcome.status == "done", outcome.reason
    report = outcome.result
    assert report["snapshot"] == snapshot_digest(snapshot)
    assert report["artifact"] == folder_digest(tmp_path / "one")
    assert report["params"] == {**{name: p.default for name, p in _space().items()}, "rounds": 20}
    assert [step for _, step in told] == ["reading the snapshot", "fitting", "saving"]
    assert folder_digest(snapshot) == before

    again = train(TrainingJob("matching", snapshot, tmp_path / "two", {"rounds": 20}, seed=3))  # in another worker
    assert again.result["artifact"] == report["artifact"]
    other = train(TrainingJob("matching", snapshot, tmp_path / "three", {"rounds": 20}, seed=4), worker=worker)
    assert other.result["artifact"] != report["artifact"]

    market = read_snapshot(snapshot).market
    offers = sample(WordEncoder()).offers
    one, two = (catalog.load("matching", tmp_path / name, WordEncoder()) for name in ("one", "two"))
    assert (one.score(market, offers) == two.score(market, offers)).all()


def test_a_training_that_is_ended_leaves_nothing(snapshot, tmp_path, worker):
    out = tmp_path / "out"
    outcome = train(TrainingJob("matching", snapshot, out), Limits(seconds=0.01), worker=worker)
    assert outcome.status == "over_time"
    assert list(tmp_path.iterdir()) == []
    outcome = train(TrainingJob("matching", snapshot, out), Limits(memory_mib=20), worker=worker)
    assert (outcome.status, list(tmp_path.iterdir())) == ("out_of_memory", [])


def test_what_cannot_be_trained_is_refused(snapshot, tmp_path, worker):
    with pytest.raises(NotFoundError, match="no engine 'oracle'"):
        train(TrainingJob("oracle", snapshot, tmp_path / "out"))
    with pytest.raises(InvalidInputError, match=r"params.depth"):
        train(TrainingJob("matching", snapshot, tmp_path / "out", {"depth": 3}))
    with pytest.raises(InvalidInputError, match="does not exist yet"):
        train(TrainingJob("matching", snapshot, tmp_path))
    outcome = train(TrainingJob("matching", tmp_path / "nothing", tmp_path / "out"), worker=worker)
    assert outcome.status == "failed"
    assert MANIFEST in outcome.reason


def test_one_job_at_a_time(worker):
    refused = []

    def meanwhile(values):
        with pytest.raises(EngineError, match="another job"):
            worker.run(JOB, {})
        return not refused.append(True)

    assert worker.run(JOB, {"reports": 1}, on_report=meanwhile).status == "done"
    assert refused == [True]


def _space():
    return catalog.engine_class("matching").search_space()
