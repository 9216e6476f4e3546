"""How sure a mean is when cases come in groups: whole groups are drawn, and differences are paired.

The cases of one company (or source paper, or sender) are not independent, so they are drawn together. Both bounds of
`paired_test` are honest for that in their own way, and the more careful one counts: percentiles of a bootstrap of
whole groups, which need no shape but are too narrow with few groups and cannot be read at levels below one over the
draws; and Student's t with cluster-robust errors and one degree of freedom less than there are groups, which stays
right there (Cameron, Gelbach and Miller 2008, "Bootstrap-based improvements for inference with clustered errors").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.engines.metrics import Values

DRAWS = 2000
_CONFIDENCE = (2.5, 97.5)


class GroupBootstrap:
    """Means over draws of whole groups.

    Args:
        groups: ``[q]`` label of each case's group.
        draws: how many times as many groups as there are get drawn, with replacement.
        seed: of the draws; the same seed and groups give the same draws, so that methods can be compared.
    """

    def __init__(self, groups: npt.ArrayLike, draws: int = DRAWS, seed: int = 0) -> None:
        names, self._place = np.unique(np.asarray(groups), return_inverse=True)
        self.groups = len(names)
        drawn = np.random.default_rng(seed).multinomial(
            self.groups, np.full(self.groups, 1.0 / max(self.groups, 1)), draws
        )
        self._drawn = drawn.astype(np.float64)
        self._sizes = self._drawn @ np.bincount(self._place, minlength=self.groups)

    def means(self, values: Values) -> Values:
        """``[draws]`` mean of the values of the cases in each draw."""
        return self._drawn @ np.bincount(self._place, values, minlength=self.groups) / self._sizes

    def interval(self, values: Values) -> tuple[float, float]:
        """Bounds that hold 95 % of the drawn means."""
        low, high = np.percentile(self.means(values), _CONFIDENCE)
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A mean difference with one-sided bounds, each at the level that was asked for.

    Attributes:
        low, high: the mean is above ``low``, and below ``high``, but for a chance of ``level`` each.
        p_worse: one-sided p-value of "not below zero"; small when the mean is surely negative.
        p_better: one-sided p-value of "not above zero".
    """

    mean: float
    low: float
    high: float
    p_better: float
    p_worse: float
    cases: int
    groups: int
    level: float


def paired_test(gaps: Values, groups: npt.ArrayLike, level: float, seed: int = 0, draws: int = DRAWS) -> PairedTest:
    """Bounds of the mean of paired differences whose cases come in groups.

    Args:
        gaps: ``[q]`` differences, the same case under both models; at least two groups.
        groups: ``[q]`` label of each case's group.
        level: one-sided error level, in 0..0.5.
        seed: of the draws.
        draws: of the bootstrap.
    """
    from scipy.stats import t  # noqa: PLC0415 - half a second to import, only where something is tested

    mean, error, count = clustered_error(gaps, groups)
    freedom = max(count - 1, 1)
    reach = float(t.isf(level, freedom)) * error
    drawn = GroupBootstrap(groups, draws, seed).means(gaps)
    low, high = np.quantile(drawn, [level, 1.0 - level])
    ratio = mean / error if error > 0 else np.copysign(np.inf, mean) if mean else 0.0
    return PairedTest(
        mean=mean,
        low=min(float(low), mean - reach),
        high=max(float(high), mean + reach),
        p_better=float(t.sf(ratio, freedom)),
        p_worse=float(t.cdf(ratio, freedom)),
        cases=len(gaps),
        groups=count,
        level=level,
    )


def clustered_error(values: Values, groups: npt.ArrayLike) -> tuple[float, float, int]:
    """Mean, its cluster-robust standard error (NaN with a single group), and the number of groups."""
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    count, mean = len(names), float(values.mean())
    if count < 2:
        return mean, float("nan"), count
    residuals = np.bincount(place, values - mean, minlength=count)
    variance = count / (count - 1) * float(np.square(residuals).sum()) / len(values) ** 2
    return mean, float(np.sqrt(variance)), count
