"""Batch learning of fusion models from evidence: pairs whose answer is known, with each engine's probability.

Weights of the linear pool maximise the probability that the pool gives to who took each offer, among all who were asked
about (a conditional logit's likelihood, McFadden 1974, with the pool in place of the exponential), on the simplex. The
problem is smooth and has few unknowns, so sequential least squares programming (Kraft 1988) solves it. A Dirichlet
prior whose mode are the default weights counts as so many questions: where data are few the weights stay near the
default. How many, whether one engine should nearly speak alone, or whether the default is best, is chosen by the mean
reciprocal rank on folds that were not learnt from (van der Laan, Polley and Hubbard 2007, "Super learner").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from ism.domain.engine import FusionModel
from ism.domain.errors import InvalidInputError
from ism.fusion.boosted_trees import BoostedTrees, rounded
from ism.fusion.calibration import log_loss
from ism.fusion.ensemble import Ensemble
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.method import FusionMethod
from ism.fusion.methods import model_of
from ism.fusion.nonnegative import fit_logistic
from ism.fusion.stacking import Stacking, log_odds
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS, renormalised

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]

STRENGTHS = (1.0, 20.0)  # questions that the prior counts as
_TIES = 0.02  # left to the others by an engine that nearly speaks alone, so that its ties are broken
LEAST_QUESTIONS = 30  # below, nothing is learnt
_RIDGE = 1.0  # of the stacking, towards the default weights
_TREES = {"num_leaves": 7, "learning_rate": 0.05, "min_data_in_leaf": 200, "lambda_l2": 10.0}
_ROUNDS = 60
_MOST_TREE_PAIRS = 100_000  # not relevant
_EDGE = 1e-9
_LEAST = 1e-3  # a probability counts as at least this in `fit_outcomes`, as in `ism.fusion.adaptive`


@dataclass(frozen=True)
class Pairs:
    """``m`` pairs with a known answer, question after question.

    Attributes:
        said: ``[m, k]`` calibrated probabilities of the engines.
        engines: their ``k`` names.
        relevant: ``[m]`` whether the match came about.
        question: ``[m]`` which list the pair stood in; pairs of one question lie together.
        fold: ``[m]`` for figures on pairs that a model has not seen.
    """

    said: Doubles
    engines: list[str]
    relevant: Mask
    question: Ints
    fold: Ints

    def take(self, chosen: Mask) -> Pairs:
        """The pairs where ``chosen`` is set."""
        return replace(
            self,
            said=self.said[chosen],
            relevant=self.relevant[chosen],
            question=self.question[chosen],
            fold=self.fold[chosen],
        )

    def opinions(self) -> dict[str, Doubles]:
        """Engine -> ``[m]`` probabilities."""
        return {name: self.said[:, place] for place, name in enumerate(self.engines)}

    def starts(self) -> Ints:
        """First pair of each question."""
        return np.flatnonzero(np.diff(self.question, prepend=-1))


def prior_weights(engines: Sequence[str], weights: Mapping[str, float] | None = None) -> Doubles:
    """``[k]`` default weights of these engines, adding up to 1; even where none of them has one."""
    given = DEFAULT_WEIGHTS if weights is None else weights
    share = renormalised({name: given.get(name, 0.0) for name in engines}, list(engines))
    return np.asarray([share[name] for name in engines])


def learn_weighted_sum(pairs: Pairs) -> WeightedSum:
    """Non-negative weights, adding up to 1, of the linear pool; see the module's words for how."""
    if len(np.unique(pairs.fold)) < 2:
        return fit_pool(pairs)
    candidates = _candidates(pairs.engines)
    unseen = out_of_fold(pairs, lambda part: {name: fit(part) for name, fit in candidates.items()})
    best = max(unseen, key=lambda name: figures(pairs, unseen[name])["mrr"])
    return candidates[best](pairs)


def _candidates(engines: Sequence[str]) -> dict[str, Callable[[Pairs], WeightedSum]]:
    """Ways to weights, the default first, so that it stays where nothing is better."""
    prior = prior_weights(engines)

    def given(weights: Doubles) -> Callable[[Pairs], WeightedSum]:
        return lambda pairs: WeightedSum(dict(zip(engines, weights.tolist(), strict=True)))

    fitted = {f"prior {strength:g}": partial(fit_pool, strength=strength) for strength in STRENGTHS}
    alone = {
        name: given((1 - _TIES) * np.eye(len(engines))[place] + _TIES * prior) for place, name in enumerate(engines)
    }
    return {"default": given(prior), **fitted, **alone}


def fit_pool(pairs: Pairs, prior: Doubles | None = None, strength: float = STRENGTHS[0]) -> WeightedSum:
    """The weights of greatest posterior probability.

    Args:
        pairs: evidence.
        prior: ``[k]`` weights towards which few data are shrunk; `prior_weights` by default.
        strength: how many questions the prior counts as.
    """
    towards = np.maximum(prior_weights(pairs.engines) if prior is None else prior, _EDGE)
    towards = towards / towards.sum()
    starts = pairs.starts()
    sums = np.add.reduceat(pairs.said, starts, axis=0)
    number = np.cumsum(np.diff(pairs.question, prepend=-1) != 0) - 1
    taken, asked = pairs.said[pairs.relevant], number[pairs.relevant]
    part = 1.0 / np.bincount(asked, minlength=len(starts))[asked]

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        safe = np.maximum(weights, _EDGE)
        won, all_said = np.maximum(taken @ safe, _EDGE), np.maximum(sums[asked] @ safe, _EDGE)
        value = -(part @ (np.log(won) - np.log(all_said))) - strength * (towards @ np.log(safe))
        slope = -(part / won) @ taken + (part / all_said) @ sums[asked] - strength * towards / safe
        return float(value), np.asarray(slope)

    return _on_simplex(loss, towards, pairs.engines, len(starts))


def _on_simplex(
    loss: Callable[[Doubles], tuple[float, Doubles]], start: Doubles, engines: Sequence[str], cases: int
) -> WeightedSum:
    """The weights of least loss among those that are not negative and add up to 1."""
    even = {"type": "eq", "fun": lambda weights: weights.sum() - 1.0, "jac": np.ones_like}
    bounds = [(0.0, 1.0)] * len(start)
    options = {"maxiter": 200, "ftol": 1e-9 * max(1, cases)}
    found = minimize(loss, start, jac=True, method="SLSQP", bounds=bounds, constraints=[even], options=options)
    weights = np.clip(found.x if np.isfinite(found.x).all() else start, 0.0, None)
    return WeightedSum(dict(zip(engines, (weights / weights.sum()).tolist(), strict=True)))


def learn_stacking(pairs: Pairs) -> Stacking:
    """Non-negative logistic regression on log odds, its slopes shrunk towards the default weights."""
    slopes, intercept = fit_logistic(
        log_odds(pairs.said), pairs.relevant.astype(np.float64), shrink=_RIDGE, prior=prior_weights(pairs.engines)
    )
    return Stacking(dict(zip(pairs.engines, slopes.tolist(), strict=True)), intercept)


def learn_boosted_trees(pairs: Pairs, base: Stacking, seed: int = 0) -> BoostedTrees:
    """Trees with monotone constraints that correct a stacking; of very many pairs a random part is used."""
    import lightgbm  # noqa: PLC0415 - 1 s to import, needed at fit time only

    part = min(1.0, _MOST_TREE_PAIRS / len(pairs.said))
    drawn = pairs.relevant | (np.random.default_rng(seed).random(len(pairs.said)) < part)
    some = pairs.take(drawn)
    columns = log_odds(some.said)
    data = lightgbm.Dataset(
        rounded(columns),
        some.relevant.astype(np.float64),
        weight=np.where(some.relevant, 1.0, 1.0 / part),
        init_score=base.odds(some.opinions()),
    )
    settings = {
        **_TREES,
        "objective": "binary",
        "monotone_constraints": [1] * len(pairs.engines),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "boost_from_average": False,
        "num_threads": 1,
        "verbosity": -1,
    }
    return BoostedTrees(base, lightgbm.train(settings, data, _ROUNDS).model_to_string())


def learn_methods(pairs: Pairs) -> dict[str, FusionMethod]:
    """Every learnt method by the id of its model; the ensemble is the weighted sum and the boosted trees, half each."""
    pool, base = learn_weighted_sum(pairs), learn_stacking(pairs)
    trees = learn_boosted_trees(pairs, base)
    ensemble = Ensemble([pool, trees], {pool.name: 0.5, trees.name: 0.5})
    return {"learned_weighted_sum": pool, "stacking": base, "boosted_trees": trees, "ensemble": ensemble}


def fit_outcomes(
    said: Doubles, engines: list[str], label: Doubles, weight: Doubles, strength: float = 20.0
) -> WeightedSum:
    """Weights of the linear pool of greatest posterior probability, from outcomes of pairs that stood in no known list.

    The likelihood is that of the outcomes (log loss), the prior a Dirichlet one with the default weights as its mode.

    Args:
        said: ``[m, k]`` probabilities; NaN where an engine was silent, which then says what the others say.
        engines: their ``k`` names.
        label: ``[m]`` in 0..1.
        weight: ``[m]`` how much each outcome counts.
        strength: how many outcomes the prior counts as.
    """
    prior = np.maximum(prior_weights(engines), _EDGE)
    spoken = np.where(np.isnan(said), 0.0, prior)
    others = np.nansum(said * spoken, axis=1, keepdims=True) / np.maximum(spoken.sum(axis=1, keepdims=True), _EDGE)
    full = np.clip(np.where(np.isnan(said), others, said), _LEAST, 1 - _LEAST)

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        safe = np.maximum(weights, _EDGE)
        fused = np.clip(full @ safe, _LEAST, 1 - _LEAST)
        value = -(weight @ (label * np.log(fused) + (1 - label) * np.log1p(-fused))) - strength * (prior @ np.log(safe))
        slope = (weight * ((1 - label) / (1 - fused) - label / fused)) @ full - strength * prior / safe
        return float(value), np.asarray(slope)

    return _on_simplex(loss, prior / prior.sum(), engines, len(label))


@dataclass(frozen=True)
class Learnt:
    """A model, and ``[m]`` fused scores of the pairs by its like, each learnt without the pair's fold."""

    model: FusionModel
    unseen: Doubles


def learn(pairs: Pairs) -> list[Learnt]:
    """A model of each of `learn_methods` with figures on folds that it did not see; none where questions are too few.

    ``performance_metrics`` hold, for the model and under ``default`` for the default weights on the same pairs:
    ``log_loss`` (nats a pair), ``mrr`` and ``recall@10`` (over questions), with ``questions`` and ``pairs``.

    Raises:
        InvalidInputError: a probability is not finite.
    """
    if len(pairs.starts()) < LEAST_QUESTIONS or len(np.unique(pairs.fold)) < 2:
        return []
    if not np.isfinite(pairs.said).all():
        raise InvalidInputError("said", float("nan"), "Give a finite probability of every engine for every pair.")
    usual = WeightedSum(dict(zip(pairs.engines, prior_weights(pairs.engines).tolist(), strict=True)))
    plain = figures(pairs, usual.value(pairs.opinions()))
    unseen = out_of_fold(pairs, learn_methods)
    return [
        Learnt(model_of(name, method, {**figures(pairs, unseen[name]), "default": plain}), unseen[name])
        for name, method in learn_methods(pairs).items()
    ]


def out_of_fold(pairs: Pairs, learner: Callable[[Pairs], Mapping[str, FusionMethod]]) -> dict[str, Doubles]:
    """``[m]`` fused scores of each fold's pairs by methods that were learnt from the other folds."""
    out: dict[str, Doubles] = {}
    for fold in np.unique(pairs.fold):
        mine = pairs.fold == fold
        opinions = pairs.take(mine).opinions()
        for name, method in learner(pairs.take(~mine)).items():
            out.setdefault(name, np.zeros(len(pairs.said)))[mine] = method.value(opinions)
    return out


def figures(pairs: Pairs, fused: Doubles) -> dict[str, float]:
    """Quality of fused scores; candidates that tie share the middle of their ranks."""
    starts = pairs.starts()
    number = np.cumsum(np.diff(pairs.question, prepend=-1) != 0) - 1
    best = np.maximum.reduceat(np.where(pairs.relevant, fused, -np.inf), starts)[number]
    rivals = ~pairs.relevant
    above = np.bincount(number, rivals & (fused > best), len(starts))
    level = np.bincount(number, rivals & (fused == best), len(starts))
    rank = 1.0 + above + 0.5 * level
    return {
        "log_loss": float(log_loss(fused, pairs.relevant.astype(np.float64)).mean()),
        "mrr": float((1.0 / rank).mean()),
        "recall@10": float((rank <= 10).mean()),
        "questions": float(len(starts)),
        "pairs": float(len(fused)),
    }
