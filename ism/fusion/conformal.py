"""Sets of receivers that hold a right one with a stated probability, or "not sure".

Split conformal prediction (Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world") with the adaptive
set score of Romano, Sesia and Candès 2020, "Classification with valid and adaptive coverage": receivers are taken in
order of their fused score until their shares of all scores reach a threshold. The threshold is a quantile of what it
took to reach a right receiver in questions that the engines had not seen.

What is exchangeable: *groups* (source papers, donors), and questions within a group; questions of one group are no
independent evidence. Quantiles give each group the same weight, whatever its size, and one part in ``groups + 1`` to
"none of them" (hierarchical conformal prediction: Lee, Barber and Willett 2023, "Distribution-free inference with
hierarchical data"). For a question of a new, exchangeable group the set then holds a right receiver with at least the
stated probability, as long as a right receiver is among the candidates at all; how often that is, is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ism.data.market import Rows
from ism.domain.errors import InvalidInputError

LEVELS = (0.9, 0.8, 0.5)
MOST_SHOWN = 10  # a larger set is no answer
_ROUNDING = 1e-9

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conformal:
    """Thresholds that were learnt.

    Attributes:
        scores: ascending set scores of the questions seen, see `reach`.
        weights: their weights; with ``1 / (groups + 1)`` for "none" they add up to 1.
        groups: how many groups they came from.
    """

    scores: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    groups: int = 0

    def threshold(self, level: float) -> float:
        """Share of all scores that a set needs; infinite where the groups are too few for the level.

        Raises:
            InvalidInputError: ``level`` is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise InvalidInputError("level", level, "Give a probability between 0 and 1.")
        reached = np.cumsum(self.weights)
        place = int(np.searchsorted(reached, level - _ROUNDING))
        return self.scores[place] if place < len(self.scores) else float("inf")

    def prediction_set(self, fused: npt.NDArray[np.floating[Any]], level: float) -> Rows:
        """Places of a set that holds a right receiver with probability ``level``, best first.

        Args:
            fused: ``[n]`` fused scores of all candidates of one question.
            level: 0..1.
        """
        order, reached = _ordered(fused)
        wanted = self.threshold(level)
        if wanted > 1:
            return order
        first = min(int(np.searchsorted(reached, wanted - _ROUNDING)), len(order) - 1)
        return order[: int(np.searchsorted(reached, reached[first], side="right"))] if len(order) else order


def fit_conformal(reached: Doubles, group: npt.NDArray[Any]) -> Conformal:
    """Thresholds from ``[q]`` set scores (`reach`; infinite where no right receiver was a candidate) and groups."""
    names, place, size = np.unique(group, return_inverse=True, return_counts=True)
    order = np.argsort(reached, kind="stable")
    weight = (1.0 / ((len(names) + 1) * size))[place][order]
    ordered = np.where(np.isfinite(reached[order]), reached[order], 2.0)  # beyond what any set reaches
    return Conformal(tuple(ordered.tolist()), tuple(weight.tolist()), len(names))


def reach(fused: npt.NDArray[np.floating[Any]], relevant: npt.NDArray[np.bool_]) -> float:
    """Share of all scores that is reached with the first right receiver; infinite where there is none.

    Receivers that tie with it count as standing before it.

    Args:
        fused: ``[n]`` of one question's candidates.
        relevant: ``[n]`` who is right.
    """
    if not relevant.any():
        return float("inf")
    total = float(fused.sum(dtype=np.float64))
    before = fused >= fused[relevant].max()
    return float(fused[before].sum(dtype=np.float64)) / total if total > 0 else 1.0


def _ordered(fused: npt.NDArray[np.floating[Any]]) -> tuple[Rows, Doubles]:
    """Places by falling score, and the share of all scores reached with each one and those that tie with it."""
    order = np.argsort(-fused, kind="stable")
    values = fused[order].astype(np.float64)
    total = values.sum()
    reached = np.cumsum(values) / total if total > 0 else np.ones(len(values))
    last = np.searchsorted(-values, -values, side="right") - 1
    return order, reached[last]


@dataclass(frozen=True, slots=True)
class Sure:
    """How sure an answer can be.

    Attributes:
        level: of the set; None where no level gives a set of at most `MOST_SHOWN`: not sure.
        places: the set, best first.
        size: of the set at the highest level that was asked, for comparison.
    """

    level: float | None
    places: tuple[int, ...]
    size: int


def how_sure(
    conformal: Conformal, fused: npt.NDArray[np.floating[Any]], levels: Sequence[float] = LEVELS, most: int = MOST_SHOWN
) -> Sure:
    """The set of the highest level that has at most ``most`` receivers."""
    sets = [(level, conformal.prediction_set(fused, level)) for level in levels]
    size = len(sets[0][1])
    for level, places in sets:
        if 0 < len(places) <= most and np.isfinite(conformal.threshold(level)) and conformal.threshold(level) <= 1:
            return Sure(level, tuple(places.tolist()), size)
    return Sure(None, (), size)
