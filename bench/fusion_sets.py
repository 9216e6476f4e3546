"""Do prediction sets cover what they say? Simulated, and on MAESTRI with whole source groups left out."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import maestri
from bench.setup import Options
from ism.data.public import maestri as cases_of
from ism.data.public import required_file
from ism.fusion.conformal import LEVELS, Conformal, fit_conformal, reach
from ism.fusion.fit import fit_fusion
from ism.fusion.methods import DEFAULT_MODEL

Rows = list[dict[str, float]]
Tried = tuple[Conformal, npt.NDArray[np.float64], npt.NDArray[np.bool_]]
_SIMULATIONS, _FAST_SIMULATIONS = 400, 20
_GROUPS, _CANDIDATES = 40, 60


def coverage(options: Options) -> dict[str, Rows]:
    """Asked and reached coverage, and the median size of the sets."""
    return {
        "simulated groups": simulated(_FAST_SIMULATIONS if options.fast else _SIMULATIONS),
        "MAESTRI, source groups left out": on_maestri(options),
    }


def simulated_group(rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """``[q, n]`` fused scores of one group's questions, and who is right; groups differ in size and difficulty."""
    questions = int(rng.integers(1, 12))
    sharpness = rng.uniform(0.5, 6.0)  # the same for all questions of the group: they are not independent
    odds = rng.normal(0, 1, (questions, _CANDIDATES)) * sharpness
    share = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    right = (share.cumsum(axis=1) > rng.random((questions, 1))).argmax(axis=1)
    noisy = np.exp(odds + rng.normal(0, 0.5, odds.shape))
    return noisy / noisy.sum(axis=1, keepdims=True), np.arange(_CANDIDATES) == right[:, None]


def simulated(count: int, seed: int = 0) -> Rows:
    """Sets from `_GROUPS` groups, asked about a new one, many times."""
    rng = np.random.default_rng(seed)
    tried: list[Tried] = []
    for _ in range(count):
        seen = [simulated_group(rng) for _ in range(_GROUPS)]
        reached = [reach(*question) for scores, right in seen for question in zip(scores, right, strict=True)]
        group = np.repeat(np.arange(_GROUPS), [len(scores) for scores, _ in seen])
        sets = fit_conformal(np.asarray(reached), group)
        scores, right = simulated_group(rng)
        tried.append((sets, scores[0], right[0]))
    return [_covered(tried, level) for level in LEVELS]


def on_maestri(options: Options) -> Rows:
    """Sets of the default model, learnt on the other source groups, for each case whose receiver is a candidate."""
    path = required_file(options.folder() / cases_of.FILE)
    cases, _ = maestri._prepared(path, options.fast)
    work = partial(_left_out, path, options.fast)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, options.jobs), spawn) as pool:
        tried = [item for part in pool.map(work, np.unique(cases.groups).tolist()) for item in part]
    return [_covered(tried, level) for level in LEVELS]


def _left_out(path: Path, fast: bool, group: int) -> list[Tried]:
    """Every case of one source group, with the sets that the others teach."""
    cases, methods = maestri._prepared(path, fast)
    split = cases.split(group)
    fusion = fit_fusion(split.snapshot, methods.engines)
    sets = fusion.conformal.get(DEFAULT_MODEL)
    if sets is None:
        return []
    scores = fusion.score(split.snapshot.market, split.asked.arrays).final
    return [
        (sets, row.astype(np.float64), np.isin(np.arange(len(row)), takers))
        for row, takers in zip(scores, split.takers, strict=True)
    ]


def _covered(tried: list[Tried], level: float) -> dict[str, float]:
    sets = [conformal.prediction_set(scores, level) for conformal, scores, _ in tried]
    hits = [bool(right[places].any()) for places, (_, _, right) in zip(sets, tried, strict=True)]
    return {
        "level": level,
        "coverage": float(np.mean(hits)) if hits else float("nan"),
        "size": float(np.median([len(places) for places in sets])) if sets else float("nan"),
    }
