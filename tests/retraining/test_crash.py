"""SIGKILL before and after each write of a job: the old or the new champion serves, and the job ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("start", "step"), [(10, 24), pytest.param(1, 1, marks=pytest.mark.slow)])
def test_a_kill_at_any_write_leaves_a_whole_champion_and_a_job_that_ends(tmp_path, start, step):
    done = subprocess.run(
        [sys.executable, str(HERE / "crash_program.py"), str(tmp_path / "crash"), str(start), str(step)],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}", "POLARS_MAX_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout)
    assert len(results) >= 4
    for found in results:
        assert found["state"] == "BAKED", found
        assert found["ends_with"] == "new", found
        assert found["versions"] == 2, found  # registered once, however often its step ran
        assert found["moves"] == list(range(len(found["moves"]))), found
        assert found["ledger"] == list(range(1, len(found["ledger"]) + 1)), found
    if step == 1:
        assert {found["served"] for found in results} == {"old", "new"}
