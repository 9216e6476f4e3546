"""Weights of the linear pool from matured outcomes of recommendations, which stood in no list that is known whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ism.domain.engine import FusionModel
from ism.domain.fusion import MaturedOutcome
from ism.fusion.learn import Doubles, fit_outcomes, prior_weights
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.methods import model_of

_EDGE = 1e-3


def learned_model(model_id: str, outcomes: Sequence[MaturedOutcome], held_out: float) -> FusionModel:
    """A model with weights from all outcomes, measured on the last part of them by weights from the others.

    Args:
        model_id: of the model.
        outcomes: in order of maturity.
        held_out: 0..1, part that is measured on.
    """
    engines = sorted({name for outcome in outcomes for name in outcome.scores})
    said = np.asarray([[outcome.scores.get(name, np.nan) for name in engines] for outcome in outcomes])
    label = np.asarray([outcome.label for outcome in outcomes])
    weight = np.asarray([outcome.weight for outcome in outcomes])
    cut = len(outcomes) - max(1, int(held_out * len(outcomes)))
    before = fit_outcomes(said[:cut], engines, label[:cut], weight[:cut])
    usual = WeightedSum(dict(zip(engines, prior_weights(engines).tolist(), strict=True)))
    measured = [_log_loss(method, said[cut:], engines, label[cut:], weight[cut:]) for method in (before, usual)]
    metrics = {
        "log_loss": measured[0],
        "default": {"log_loss": measured[1]},
        "outcomes": len(outcomes),
        "held_out": len(outcomes) - cut,
    }
    return model_of(model_id, fit_outcomes(said, engines, label, weight), metrics)


def _log_loss(method: WeightedSum, said: Doubles, engines: list[str], label: Doubles, weight: Doubles) -> float:
    share = np.asarray([method.weights[name] for name in engines])
    spoken = np.where(np.isnan(said), 0.0, share)
    total = spoken.sum(axis=1)
    even = np.where(np.isnan(said), 0.0, 1.0)
    spoken = np.where(total[:, None] > 0, spoken, even)
    fused = np.clip(np.nansum(said * spoken, axis=1) / spoken.sum(axis=1), _EDGE, 1 - _EDGE)
    return float(np.average(-(label * np.log(fused) + (1 - label) * np.log1p(-fused)), weights=weight))
