"""Fusion models from matured outcomes of recommendations, which stood in no list that is known whole.

What was shown was chosen by the engines themselves: a pair that one engine scored low was only shown because another
scored it high. Measured one by one on such pairs, the engine that chose them looks worse than it is. A regression of
the outcome on all engines together does not suffer from that, as the choice depends on nothing but their scores; nor
does its order depend on how high an engine's probabilities are. So `stacked_model` is the one to learn a ranking from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ism.domain.engine import FusionModel
from ism.domain.fusion import MaturedOutcome
from ism.fusion.learn import Doubles, fit_outcomes, prior_weights
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.method import FusionMethod
from ism.fusion.methods import model_of
from ism.fusion.nonnegative import fit_logistic
from ism.fusion.stacking import Stacking, log_odds

_EDGE = 1e-3
_SHRINK = 20.0  # outcomes that the default weights count as


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


def stacked_model(model_id: str, outcomes: Sequence[MaturedOutcome], held_out: float) -> FusionModel:
    """A stacking (`ism.fusion.stacking`) of all outcomes, its slopes shrunk towards the default weights.

    Args:
        model_id: of the model.
        outcomes: in order of maturity.
        held_out: 0..1, part that it is measured on, by a model of the others, beside the default weights.
    """
    engines = sorted({name for outcome in outcomes for name in outcome.scores})
    said = _spoken_for(
        np.asarray([[outcome.scores.get(name, np.nan) for name in engines] for outcome in outcomes]), engines
    )
    label = np.asarray([outcome.label for outcome in outcomes])
    weight = np.asarray([outcome.weight for outcome in outcomes])
    cut = len(outcomes) - max(1, int(held_out * len(outcomes)))
    usual = WeightedSum(dict(zip(engines, prior_weights(engines).tolist(), strict=True)))
    before = _stacking(said[:cut], engines, label[:cut], weight[:cut])
    later = {name: said[cut:, place] for place, name in enumerate(engines)}
    metrics = {
        "log_loss": _loss_of(before, later, label[cut:], weight[cut:]),
        "default": {"log_loss": _loss_of(usual, later, label[cut:], weight[cut:])},
        "outcomes": len(outcomes),
        "held_out": len(outcomes) - cut,
    }
    return model_of(model_id, _stacking(said, engines, label, weight), metrics)


def _stacking(said: Doubles, engines: list[str], label: Doubles, weight: Doubles) -> Stacking:
    slopes, intercept = fit_logistic(
        log_odds(said), label, weight / weight.mean(), shrink=_SHRINK, prior=prior_weights(engines)
    )
    return Stacking(dict(zip(engines, slopes.tolist(), strict=True)), intercept)


def _spoken_for(said: Doubles, engines: list[str]) -> Doubles:
    """Probabilities in which a silent engine says what the others say on weighted average."""
    share = np.where(np.isnan(said), 0.0, np.maximum(prior_weights(engines), _EDGE))
    others = np.nansum(said * share, axis=1, keepdims=True) / share.sum(axis=1, keepdims=True)
    return np.where(np.isnan(said), others, said)


def _loss_of(method: FusionMethod, opinions: dict[str, Doubles], label: Doubles, weight: Doubles) -> float:
    fused = np.clip(method.value(opinions), _EDGE, 1 - _EDGE)
    return float(np.average(-(label * np.log(fused) + (1 - label) * np.log1p(-fused)), weights=weight))


def _log_loss(method: WeightedSum, said: Doubles, engines: list[str], label: Doubles, weight: Doubles) -> float:
    share = np.asarray([method.weights[name] for name in engines])
    spoken = np.where(np.isnan(said), 0.0, share)
    total = spoken.sum(axis=1)
    even = np.where(np.isnan(said), 0.0, 1.0)
    spoken = np.where(total[:, None] > 0, spoken, even)
    fused = np.clip(np.nansum(said * spoken, axis=1) / spoken.sum(axis=1), _EDGE, 1 - _EDGE)
    return float(np.average(-(label * np.log(fused) + (1 - label) * np.log1p(-fused)), weights=weight))
