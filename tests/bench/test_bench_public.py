"""The real protocols on a small part of the real data, by the command that people type."""

import json
import subprocess
import sys

import pytest

from bench.setup import REPOSITORY
from ism.data import public

pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(public.folder() is None, reason="the public data sets are absent (set ISM_PUBLIC_DATA)"),
]

PROTOCOLS = {
    "maestri": {"seen", "unseen", "without_rules"},
    "tri": {"recovery_only"},
    "calrecycle": {"known_generators", "unseen_generators"},
}


@pytest.mark.parametrize(
    "name", ["maestri", pytest.param("tri", marks=pytest.mark.slow), pytest.param("calrecycle", marks=pytest.mark.slow)]
)
def test_a_fast_run_prints_one_object_and_beats_popularity(name, tmp_path):
    page = tmp_path / "page.md"
    command = [sys.executable, "-m", "bench", name, "--fast", "--json", "--jobs", "1", "--out", str(page)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["protocol"] == name
    assert PROTOCOLS[name] <= set(told)
    assert told["n"] > 40
    for metric in ("recall@1", "recall@5", "recall@10", "mrr"):
        low, high = told["fused"]["intervals"][metric]
        assert 0 <= low <= told[metric] <= high <= 1
    assert told["mrr"] > told["baselines"]["popularity"]["mrr"]
    assert set(told["difference"]) == {"recall@10", "mrr"}
    assert f"<!-- begin {name} -->" in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
def test_peers_answer_the_same_questions(name):
    command = [sys.executable, "-m", "bench", name, "--fast", "--peers", "--json", "--jobs", "1"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1200, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert set(told["peers"]) == set(told["peer_difference"]) == {"implicit", "pykeen"}
    for peer in told["peers"].values():
        assert peer["mrr"] > told["baselines"]["popularity"]["mrr"]
    for gaps in told["peer_difference"].values():
        assert all(gap["low"] <= gap["mean"] <= gap["high"] for gap in gaps.values())
