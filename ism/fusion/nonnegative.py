"""Regressions whose coefficients are not negative: more of an engine's probability never lowers the fused one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

Doubles = npt.NDArray[np.float64]
_EDGE = 1e-6


def fit_logistic(
    columns: Doubles,
    taken: Doubles,
    weight: Doubles | None = None,
    *,
    least: float = 0.0,
    shrink: float = 1e-3,
    prior: Doubles | None = None,
) -> tuple[Doubles, float]:
    """Slopes and intercept of a logistic regression with a lower bound on the slopes.

    Args:
        columns: ``[m, k]``.
        taken: ``[m]`` in 0..1.
        weight: ``[m]`` of each case, 1 by default.
        least: bound of every slope.
        shrink: strength of the ridge towards ``prior``, as in ``shrink / 2 * sum((slope - prior)**2)``.
        prior: ``[k]``, 0 by default.
    """
    count = columns.shape[1]
    towards = np.zeros(count) if prior is None else prior
    mass = np.ones(len(taken)) if weight is None else weight
    share = float(np.clip((mass * taken).sum() / max(mass.sum(), _EDGE), _EDGE, 1 - _EDGE))
    start = np.concatenate([np.maximum(np.where(towards > 0, towards, 1.0), least), [np.log(share / (1 - share))]])
    scale = max(float(mass.sum()), _EDGE)

    def loss(found: Doubles) -> tuple[float, Doubles]:
        odds = columns @ found[:-1] + found[-1]
        off = mass * (expit(odds) - taken)
        away = found[:-1] - towards
        value = float((mass * (np.logaddexp(0, odds) - taken * odds)).sum() + 0.5 * shrink * (away**2).sum())
        return value / scale, np.concatenate([off @ columns + shrink * away, [off.sum()]]) / scale

    bounds = [(least, None)] * count + [(None, None)]
    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9}
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return np.asarray(best[:-1]), float(best[-1])
