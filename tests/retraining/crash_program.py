"""Kills a pipeline with SIGKILL before and after each of its writes, and checks what is left; run by test_crash.

Each run is a forked process on a copy of the same data folder, in which a first model serves. The parent uses no
library that keeps threads, so that forking is safe.
"""

import json
import os
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import counting
from counting import Seen, arms, parts_on

from ism.retraining.pipeline import AIRetrainingPipeline
from ism.settings import Settings
from ism.storage import open_sqlite
from ism.storage.retraining_sql import SqlRetrainingStore

WRITES = ("claim", "move", "add_look", "add_version", "deploy", "release")
START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


class Killer(SqlRetrainingStore):
    """Dies at write number ``at``, before or after it."""

    at, count, before = -1, 0, False


def killing(name):
    plain = getattr(SqlRetrainingStore, name)

    def write(self, *arguments, **named):
        Killer.count += 1
        if Killer.count == Killer.at and Killer.before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(self, *arguments, **named)
        if Killer.count == Killer.at and not Killer.before:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return write


for name in WRITES:
    setattr(Killer, name, killing(name))


def pipeline_on(store, folder, noise, hours, kill=False):
    parts = parts_on(
        store, Settings(data_dir=folder, _env_file=None), lambda: START + timedelta(hours=hours),
        Seen(arms=arms(0.3, 0.5)), search=lambda *_: {"noise": noise},
    )  # fmt: skip
    if kill:
        object.__setattr__(parts, "store", Killer(store._database))
        parts.registry._store = parts.store
    return AIRetrainingPipeline(parts, background=False)


def forked(work):
    """Exit status of a process that does the work."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        status = work() or 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def prepare(folder):
    with open_sqlite(folder) as store:
        counting.fill(store)
        pipeline = pipeline_on(store, folder, 0.6, 0)
        pipeline.request("counting", "manual", {"retraining_type": "optimization"})
        pipeline.run_due()


def killed_run(folder, at, before):
    with open_sqlite(folder) as store:
        pipeline = pipeline_on(store, folder, 0.02, 1, kill=True)
        pipeline.request("counting", "manual", {"retraining_type": "optimization"})
        Killer.at, Killer.before, Killer.count = at, before, 0
        pipeline.run_due()
        return 7 if Killer.count < at else 0


def resumed(folder, out):
    """What a new process finds, and what becomes of it."""
    with open_sqlite(folder) as store:
        retraining = store.retraining
        pipeline = pipeline_on(store, folder, 0.02, 2)  # the dead one's lease has run out by then
        registry = pipeline._parts.registry
        serving = registry.deployment("counting").champion
        registry.folder_of(retraining.get_version(serving))  # every file whole
        [old, *_] = [entry.to_version for entry in registry.ledger("counting") if entry.action == "promote"]
        found = {"served": "old" if serving == old else "new", "generation": registry.deployment("counting").generation}
        pipeline.run_due()
        job = retraining.jobs(limit=1)[0]
        found["state"] = job.state
        found["moves"] = [move.number for move in retraining.moves(job.job_id)]
        found["versions"] = len(retraining.versions("counting"))
        found["ends_with"] = (
            "new" if registry.deployment("counting").champion == job.detail.get("version_id") else "old"
        )
        found["ledger"] = [entry.generation for entry in registry.ledger("counting")]
        out.write_text(json.dumps(found))


def main(root, start, step):
    counting.install()
    root.mkdir(parents=True)
    assert forked(partial(prepare, root / "base")) == 0
    results, at = [], start
    while True:
        for before in (True, False):
            folder, out = root / "run", root / "out.json"
            shutil.copytree(root / "base", folder)
            status = forked(partial(killed_run, folder, at, before))
            if status == 7:
                sys.stdout.write(json.dumps(results))
                return
            assert status == -signal.SIGKILL, (at, before, status)
            assert forked(partial(resumed, folder, out)) == 0, (at, before)
            results.append({"at": at, "before": before, **json.loads(out.read_text())})
            out.unlink()
            shutil.rmtree(folder)
        at += step


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
