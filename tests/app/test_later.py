"""Engines that answer first, and engines that are trained meanwhile: real children, with engines that learn quickly."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from ism.app import later, matching
from ism.app.fitting import FittingTask, fit_apart
from ism.app.later import LaterEngines
from ism.app.matching import MatchService
from ism.data import demo
from ism.domain.errors import EngineError
from ism.domain.market import Offer
from ism.settings import Settings
from ism.storage import Store, open_sqlite
from ism.testing.sample import WordEncoder, sample

ENCODER = WordEncoder()
ASH = Offer("coal fly ash", ewc="10 01 02", nace="35.11")
LIMIT = 120.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_sqlite(tmp_path / "data") as opened:
        companies, listings, exchanges = demo.load()
        opened.bulk_upsert(chain(companies, listings, exchanges), "demo")
        yield opened


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were two engines, of which one answers first."""
    monkeypatch.setattr(matching, "_weighed", lambda: ["knowledge_graph", "matching"])
    monkeypatch.setattr(matching, "FIRST", ("knowledge_graph",))


@pytest.fixture
def task(tmp_path: Path) -> FittingTask:
    return FittingTask(sample(ENCODER).snapshot, ("knowledge_graph",), ENCODER, "cpu", tmp_path / "serving")


def service(store: Store, tmp_path: Path, staged: bool = True) -> MatchService:
    return MatchService(store, ENCODER, tmp_path / "models", Settings(_env_file=None, device="cpu"), staged)


@pytest.mark.usefixtures("quick")
def test_the_first_engines_answer_while_the_others_are_trained(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()

    def held(*given: object) -> bool:
        return let_go.wait(LIMIT) and fit_apart(*given)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(later, "fit_apart", held)
    served = service(store, tmp_path)
    served.refresh()
    early = served.match(ASH)
    assert early.matches
    assert list(early.matches[0].engine_contributions) == ["knowledge_graph"]
    assert "Still training" in early.missing_engines["matching"]
    state = served.status()["engine:matching"]
    assert state["state"] == "degraded"
    assert "Still training" in state["detail"]
    assert served.status()["engine:knowledge_graph"]["state"] == "ok"

    let_go.set()
    assert served._later is not None
    assert served._later.wait(LIMIT)
    late = served.match(ASH)
    assert set(late.matches[0].engine_contributions) == {"knowledge_graph", "matching"}
    assert "matching" not in late.missing_engines
    assert served.status()["engine:matching"]["state"] == "ok"
    served.close()


@pytest.mark.usefixtures("quick")
def test_a_start_that_was_cut_off_is_carried_on(store: Store, tmp_path: Path) -> None:
    cut = service(store, tmp_path)
    cut.refresh()
    cut.close()
    kept = (tmp_path / "models" / "serving" / "knowledge_graph" / "engine.json").stat().st_mtime_ns
    again = service(store, tmp_path)
    again.refresh()
    assert (tmp_path / "models" / "serving" / "knowledge_graph" / "engine.json").stat().st_mtime_ns == kept
    assert again._later is not None
    assert again._later.wait(LIMIT)
    assert set(again.match(ASH).matches[0].engine_contributions) == {"knowledge_graph", "matching"}
    again.close()
    whole = service(store, tmp_path)
    whole.refresh()
    assert whole._later is None  # nothing is left to train
    whole.close()


@pytest.mark.usefixtures("quick")
def test_who_waits_for_all_engines_gets_all(store: Store, tmp_path: Path) -> None:
    cut = service(store, tmp_path)
    cut.refresh()
    cut.close()
    waiting = service(store, tmp_path, staged=False)
    waiting.refresh()
    assert set(waiting.match(ASH).matches[0].engine_contributions) == {"knowledge_graph", "matching"}


def test_a_child_is_ended_when_training_shall_stop(task: FittingTask) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert not fit_apart(task, LIMIT, stop)
    assert time.monotonic() - begun < LIMIT / 2
    assert not task.folder.exists()


def test_what_failed_is_said_and_what_was_stopped_is_not_installed(task: FittingTask) -> None:
    installed: list[str] = []
    failing = LaterEngines(replace(task, names=("no such engine",)), LIMIT, lambda: installed.append("failed"))
    failing.start()
    assert failing.wait(LIMIT)
    assert "no engine 'no such engine'" in failing.reason()
    stopped = LaterEngines(task, LIMIT, lambda: installed.append("stopped"))
    stopped.start()
    stopped.close()
    stopped.close()
    assert stopped.wait(LIMIT)
    assert installed == []


@pytest.mark.usefixtures("quick")
def test_a_service_that_is_closed_before_it_answers_says_so(store: Store, tmp_path: Path) -> None:
    served = service(store, tmp_path)
    served.close()
    with pytest.raises(EngineError, match="this process stops"):
        served.refresh()
