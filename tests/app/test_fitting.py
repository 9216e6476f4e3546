"""Fitting in a process of its own: what it writes, and how it fails."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from ism.app.fitting import FittingTask, fit_apart
from ism.data.bundled import BundledVectors
from ism.data.text import CachedEncoder, SentenceModel
from ism.domain.errors import EngineError
from ism.engines import catalog
from ism.fusion.fit import fit_fusion
from ism.fusion.store import load_fusion
from ism.testing.sample import WordEncoder, sample

ENCODER = WordEncoder()


@pytest.fixture
def task(tmp_path):
    return FittingTask(sample(ENCODER).snapshot, ("knowledge_graph",), ENCODER, "cpu", tmp_path / "serving")


def test_a_child_writes_what_this_process_would_have_fitted(task):
    fit_apart(task, 120.0)
    loaded = load_fusion(
        task.folder, {"knowledge_graph": lambda folder: catalog.load("knowledge_graph", folder, ENCODER)}
    )
    makers = {"knowledge_graph": lambda: catalog.make("knowledge_graph", ENCODER)}
    here, case = fit_fusion(task.snapshot, makers), sample(ENCODER)
    for fusion in (loaded, here):
        assert fusion.calibrations.keys() == {"knowledge_graph"}
    np.testing.assert_allclose(
        loaded.score(case.built.market, case.offers).final, here.score(case.built.market, case.offers).final, atol=1e-5
    )


def test_a_child_that_takes_too_long_is_ended(task):
    with pytest.raises(EngineError, match="ISM_FIT_SECONDS"):
        fit_apart(task, 0.05)
    assert not task.folder.exists()


def test_a_child_that_fails_says_why(task):
    with pytest.raises(EngineError, match="no engine 'no such engine'"):
        fit_apart(dataclasses.replace(task, names=("no such engine",)), 120.0)
    assert not task.folder.exists()


def test_a_child_ends_when_nobody_waits_for_it_any_more(task):
    """The pipe closes when the parent is gone, however it went."""
    program = """
import sys, threading
from ism.app import fitting
threading.Thread(target=fitting._end_with_parent, daemon=True).start()
print("there", flush=True)
threading.Event().wait(60)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"there\n"
    child.stdin.close()
    assert child.wait(30) == 1


def test_an_encoder_opens_its_files_again_elsewhere(tmp_path):
    import pickle

    encoder = CachedEncoder(BundledVectors(SentenceModel()), tmp_path / "vectors.sqlite3")
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.encode(["coal fly ash"]), encoder.encode(["coal fly ash"]))
    assert again.name == encoder.name
    again.close()
    encoder.close()
