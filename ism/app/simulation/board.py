"""All offers scored once: what each fusion would show, without asking the engines again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ism.app.matching import SECTOR_YIELDS
from ism.app.simulation.world import Doubles, Rows, Stage
from ism.fusion.fit import FittedFusion
from ism.fusion.method import FusionMethod
from ism.fusion.weighted_sum import agreement

TOP = 10


@dataclass(frozen=True)
class Board:
    """The engines' calibrated probabilities: engine -> ``[q, n]``."""

    stage: Stage
    probabilities: dict[str, Doubles]

    def fused(self, method: FusionMethod) -> tuple[Doubles, Doubles]:
        """``[q, n]`` scores and confidences."""
        weighed = {name: values for name, values in self.probabilities.items() if name in method.weights}
        return method.value(weighed), agreement(weighed, method.weights).astype(np.float64)

    def ranking(self, final: Doubles, top: int = TOP) -> Rows:
        """``[q, top]`` rows of receivers as `ism.app.matching` would show them; -1 where a list is shorter."""
        home = self.stage.built.market.receivers
        classes, place = np.unique(home.nace[:, 2], return_inverse=True)
        listed = np.flatnonzero(~home.sector & (home.nace[:, 2] >= 0))
        best = np.zeros((len(classes), len(final)))
        np.maximum.at(best, place[listed], np.where(self.stage.own, 0.0, final).T[listed])
        hidden = self.stage.own | (home.sector & (best.T[:, place] >= SECTOR_YIELDS * final))
        order = np.argsort(np.where(hidden, np.inf, -final), axis=1, kind="stable")[:, :top]
        return np.where(np.take_along_axis(hidden, order, axis=1), -1, order)


def make_board(stage: Stage, fusion: FittedFusion) -> Board:
    """Score every offer with every receiver but the offering company, which is never among those compared."""
    said = {name: np.zeros(stage.own.shape) for name in fusion.engines}
    for place in range(len(stage.offers)):
        rows = np.flatnonzero(~stage.own[place])
        scores = fusion.score(stage.built.market, stage.arrays.take(np.asarray([place])), rows)
        for name, values in scores.probabilities.items():
            said[name][place, rows] = values[0]
    return Board(stage, said)
