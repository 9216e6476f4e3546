"""Samplers and pruners by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ism.tuning.config import OptimizationConfig

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Pruner = Literal["median", "hyperband", "none"]
STARTUP = 10  # random trials before a model of the objective is used


def sampler_of(config: OptimizationConfig, drawn: int = 0, jobs: int = 1) -> BaseSampler:
    """The sampler that a config asks for.

    Args:
        config: names it and gives the seed.
        drawn: trials that exist already; a resumed search must not draw the same ones again.
        jobs: trials that run at the same time.
    """
    from optuna import samplers  # noqa: PLC0415 - optuna only where used

    seed = config.seed + 7919 * drawn
    if config.optimization_type == "random":
        return samplers.RandomSampler(seed=seed)
    if config.optimization_type == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
    if config.optimization_type == "cmaes":
        return samplers.CmaEsSampler(seed=seed, n_startup_trials=STARTUP, warn_independent_sampling=False)
    return samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP, constant_liar=jobs > 1)


def pruner_of(name: Pruner) -> BasePruner:
    """The pruner of that name; it sees the running mean after each fold."""
    from optuna import pruners  # noqa: PLC0415 - optuna only where used

    if name == "median":
        return pruners.MedianPruner(n_startup_trials=5)
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=3)
    return pruners.NopPruner()
