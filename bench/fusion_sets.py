"""Do prediction sets cover what they say? Simulated, and on MAESTRI with whole source groups left out."""

from __future__ import annotations

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
    tried: list[tuple[Conformal, npt.NDArray[np.float64], npt.NDArray[np.bool_]]] = []
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
    cases, methods = maestri._prepared(path, options.fast)
    tried = []
    for group in np.unique(cases.groups).tolist():
        split = cases.split(group)
        fusion = fit_fusion(split.snapshot, methods.engines)
        if DEFAULT_MODEL not in fusion.conformal:
            continue
        scores = fusion.score(split.snapshot.market, split.asked.arrays).final
        for row, takers in zip(scores, split.takers, strict=True):
            right = np.isin(np.arange(len(row)), takers)
            tried.append((fusion.conformal[DEFAULT_MODEL], row.astype(np.float64), right))
    return [_covered(tried, level) for level in LEVELS]


def _covered(
    tried: list[tuple[Conformal, npt.NDArray[np.float64], npt.NDArray[np.bool_]]], level: float
) -> dict[str, float]:
    sets = [conformal.prediction_set(scores, level) for conformal, scores, _ in tried]
    hits = [bool(right[places].any()) for places, (_, _, right) in zip(sets, tried, strict=True)]
    return {
        "level": level,
        "coverage": float(np.mean(hits)) if hits else float("nan"),
        "size": float(np.median([len(places) for places in sets])) if sets else float("nan"),
    }
