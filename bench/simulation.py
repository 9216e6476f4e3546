"""Does the loop learn, and does it withstand people who collude? Many simulated markets, through the real parts."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.setup import Options
from ism.app.simulation.behaviour import Crowd
from ism.app.simulation.board import Board
from ism.app.simulation.desk import Clock, StoreDesk
from ism.app.simulation.play import play, static_quality
from ism.app.simulation.run import START
from ism.app.simulation.scene import open_scene, prepare, settings_for
from ism.app.simulation.world import draw_world
from ism.data.text import CachedEncoder, SentenceModel
from ism.retraining.bootstrap import GroupBootstrap
from ism.storage import open_store

Values = npt.NDArray[np.float64]

TITLE = "Simulation: sixty days of the loop"
NEEDS_DATA = False
HOSTILE = 0.2
MOST_LOSS = 0.01
NOTES = """\
*Simulated* (`ism simulate`; `ism/app/simulation` states the model of clicks and outcomes): engines are fitted once on
the demonstration market; each seed draws who can use what, and what people do for so many days. Lists come from the
engines' scores of all pairs, computed once; storing, labels, trust, adaptive weights and learnt models are the real
ones. Every five days a stacking is learnt from the labels, and answers from then on where it was less surprised by the
outcomes that were held out than the default weights. *Static* is the default weights on the same market. *Hostile*: a
fifth of the actors collude; everybody else draws the same luck as in the clean run. Quality is the mean nDCG@10 over
all offers, measured with what is true. Intervals are 95 % bootstrap intervals over seeds, of paired differences.
"""
_SEEDS, _FAST_SEEDS = 20, 2
_DAYS, _FAST_DAYS = 60, 20


@dataclass(frozen=True)
class _Task:
    """One market; ``hostile`` is a share."""

    seed: int
    hostile: float
    days: int


class _Here:
    """What a worker keeps between markets."""

    board: Board


def run(options: Options) -> dict[str, Any]:
    """Every seed with and without hostile actors."""
    started = time.perf_counter()
    seeds, days = (_FAST_SEEDS, _FAST_DAYS) if options.fast else (_SEEDS, _DAYS)
    tasks = [_Task(seed, hostile, days) for seed in range(seeds) for hostile in (0.0, HOSTILE)]
    with _board() as board:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, spawn, _begin, (board,)) as pool:
            rows = np.asarray(list(pool.map(_played, tasks)))
    clean, hostile = rows[::2], rows[1::2]
    static = clean[:, 0]
    bootstrap = GroupBootstrap([str(seed) for seed in range(seeds)])
    gain, loss = clean[:, -1] - static, 1.0 - hostile[:, -1] / clean[:, -1]
    return {
        "protocol": "simulation",
        "simulated": True,
        "seeds": seeds,
        "days": days,
        "static": _mean(static, bootstrap),
        "clean": _mean(clean[:, -1], bootstrap),
        "hostile": _mean(hostile[:, -1], bootstrap),
        "gain": _mean(gain, bootstrap),
        "gain_hostile": _mean(hostile[:, -1] - static, bootstrap),
        "relative_loss": _mean(loss, bootstrap),
        "loss_of_means": float(1.0 - hostile[:, -1].mean() / clean[:, -1].mean()),
        "course": {
            str(day): [float(rows[:, day].mean()) for rows in (clean, hostile)] for day in range(0, days + 1, 10)
        },
        "seconds": time.perf_counter() - started,
    }


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    days, gain, loss = found["days"], found["gain"], found["relative_loss"]
    rows = [
        f"| {name} | {found[key]['mean']:.4f} <sub>{found[key]['low']:.4f}–{found[key]['high']:.4f}</sub> |"
        for key, name in (("static", "static default"), ("clean", "clean"), ("hostile", f"{HOSTILE:.0%} hostile"))
    ]
    course = [f"| {day} | {clean:.4f} | {hostile:.4f} |" for day, (clean, hostile) in found["course"].items()]
    return "\n".join(
        [
            f"## {TITLE}", "", NOTES, about, "",
            f"{found['seeds']} seeds, {days} days.", "",
            f"| after {days} days | nDCG@10 |", "|---|---|", *rows, "",
            f"Clean less static: {gain['mean']:+.4f} (95 % interval {gain['low']:+.4f} to {gain['high']:+.4f}).  ",
            f"Lost to hostile actors: {loss['mean']:.2%} of the clean run (95 % interval {loss['low']:.2%} to "
            f"{loss['high']:.2%}; limit {MOST_LOSS:.0%}).",
            "",
            "| day | clean | hostile |", "|---|---|---|", *course,
        ]
    )  # fmt: skip


@contextmanager
def _board() -> Iterator[Board]:
    with tempfile.TemporaryDirectory(prefix="ism-simulated-") as scratch:
        folder = Path(scratch) / "market"
        prepare(folder)
        with open_scene(folder, Clock(START)) as scene:
            board = scene.board
        yield board


def _begin(board: Board) -> None:
    _Here.board = board


def _played(task: _Task) -> list[float]:
    """Quality each evening, the first that of the static default."""
    board, clock = _Here.board, Clock(START)
    world = draw_world(board.stage, task.seed)
    with tempfile.TemporaryDirectory(prefix="ism-simulated-") as scratch:
        folder = Path(scratch) / "market"
        prepare(folder)
        settings = settings_for(folder)
        with open_store(settings, simulated=True) as store:
            desk = StoreDesk(store, settings, board, clock, CachedEncoder(SentenceModel()))
            crowd = Crowd(task.seed, task.hostile)
            days = list(play(desk, board, world, crowd, clock, task.days))
            desk.close()
    return [static_quality(board, world), *(day.quality for day in days[1:])]


def _mean(values: Values, bootstrap: GroupBootstrap) -> dict[str, float]:
    low, high = bootstrap.interval(values)
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}
