"""What a site does with the global parameters: a few clipped, noised gradient steps on its own exchanges."""

from __future__ import annotations

import numpy as np

from ism.data.market import Floats
from ism.engines.federated.model import Examples, Parameters
from ism.engines.federated.plan import Plan


def site_update(
    examples: Examples, start: Parameters, plan: Plan, shrinkage: float, noise: np.random.Generator
) -> Parameters:
    """The parameters after the site's steps.

    Args:
        examples: of the site; without any, the parameters stay as they are.
        start: the global parameters.
        plan: steps, rates, clipping and noise.
        shrinkage: pull of the factors to zero, a record: the server divides ``l2`` by the records of all sites.
        noise: source of the noise; must not be predictable where the noise is to protect somebody.
    """
    here = start
    if not len(examples):
        return here
    rates = plan.rates
    for _ in range(plan.local_steps):
        slope = examples.gradient(here, plan.clip)
        factors = _noised(slope.factors, plan, noise) / np.float32(len(examples)) - np.float32(shrinkage) * here.factors
        pair = _noised(slope.pair, plan, noise) / np.float32(len(examples))
        if plan.strategy == "fedprox":  # Li et al. 2020, "Federated optimization in heterogeneous networks"
            pull = np.float32(plan.proximal)
            factors, pair = factors - pull * (here.factors - start.factors), pair - pull * (here.pair - start.pair)
        here = Parameters(
            np.asarray(here.factors + np.float32(rates[0]) * factors, dtype=np.float32),
            np.asarray(here.pair + np.float32(rates[1]) * pair, dtype=np.float32),
        )
    return here


def _noised(slope: Floats, plan: Plan, noise: np.random.Generator) -> Floats:
    if plan.noise <= 0:
        return slope
    drawn = noise.normal(0.0, plan.noise * plan.clip, slope.shape)
    return np.asarray(slope + drawn, dtype=np.float32)
