"""The best engine breaks midway: how fast adaptive weights leave it, and what that costs. Simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ism.fusion.adaptive import Hedge

Values = npt.NDArray[np.float64]

OUTCOMES = 1000
ENGINES = 4
LEAST_WEIGHT = 0.10
NOISES = (0.3, 1.5, 1.8, 2.2)  # standard deviation of each engine's log odds around the true ones
RULES = {"fixed share": Hedge(), "plain Hedge": Hedge(share=0.0)}
_SPREAD = 2.5  # standard deviation of the true log odds


def broken_midway(seed: int, outcomes: int = OUTCOMES, opposite: bool = False) -> tuple[Values, Values]:
    """``[t, k]`` probabilities of the engines, of which the first is best and breaks midway, and ``[t]`` labels.

    A broken engine says what it would have said of another recommendation, or the opposite of what it would have said.
    """
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, _SPREAD, outcomes)
    label = (rng.random(outcomes) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    said = odds[:, None] + rng.normal(0, 1, (outcomes, len(NOISES))) * np.asarray(NOISES)
    half = outcomes // 2
    said[half:, 0] = -said[half:, 0] if opposite else rng.permutation(said[half:, 0])
    return 1 / (1 + np.exp(-said)), label


def losses(said: Values, label: Values) -> Values:
    """``[t, k]`` log loss of each engine, in nats, with probabilities bounded as the rule bounds them."""
    sure = np.clip(said, 1e-3, 1 - 1e-3)
    return np.asarray(-np.where(label[:, None] > 0, np.log(sure), np.log1p(-sure)))


def until_left(weights: Values, outcomes: int) -> float:
    """Outcomes after the break until the first engine's weight is below `LEAST_WEIGHT`; infinite where it never is."""
    below = np.flatnonzero(weights[outcomes // 2 :, 0] < LEAST_WEIGHT)
    return float(below[0] + 1) if len(below) else float("inf")


def best_sequence(each: Values) -> float:
    """Loss of the best engine before the break and the best one after it."""
    half = len(each) // 2
    return float(each[:half].sum(axis=0).min() + each[half:].sum(axis=0).min())


def adaptive(seeds: int) -> dict[str, Any]:
    """Fixed share and plain Hedge over several draws."""
    rules = [(name, rule, opposite) for opposite in (False, True) for name, rule in RULES.items()]
    start = np.full(ENGINES, 1 / ENGINES)
    found: dict[str, Any] = {}
    regret = 0.0
    for name, rule, opposite in rules:
        left, ratio = [], []
        for seed in range(seeds):
            said, label = broken_midway(seed, opposite=opposite)
            weights, paid = rule.run(start, said, label)
            best = best_sequence(losses(said, label))
            left.append(until_left(weights, OUTCOMES))
            ratio.append(paid.sum() / best)
            if name == "fixed share":
                regret = max(regret, float(paid.sum() - best))
        found[f"{name}, {'opposite' if opposite else 'unrelated'}"] = {
            "outcomes_median": float(np.median(left)),
            "outcomes_largest": float(np.max(left)),
            "loss_ratio": float(np.mean(ratio)),
            "loss_ratio_largest": float(np.max(ratio)),
        }
    bound = Hedge().regret_bound(OUTCOMES, 1, ENGINES)
    return {"seeds": seeds, "rules": found, "regret": regret, "bound": bound}
