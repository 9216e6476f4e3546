"""What another policy would have earned, from the log of the one that ran.

With ``w`` the ratio of both policies' probabilities for what was shown:

- IPS: mean of ``w r`` (Horvitz and Thompson 1952).
- SNIPS: the same over the mean of ``w``; bounded by the rewards (Swaminathan and Joachims 2015).
- DR: a model's expectation plus ``w`` times what the model missed; right when either is (Dudik, Langford and Li 2011).

Intervals are Student's t on each case's share in the estimate, clustered by group. They mean little where few cases
carry all the weight, which the effective sample size ``(sum w)^2 / sum w^2`` (Kish 1965) says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.domain.errors import InvalidInputError
from ism.engines.metrics import Values
from ism.retraining.bootstrap import clustered_error

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """Expected reward of a policy that did not run.

    Attributes:
        low, high: 95 % interval.
        effective_sample_size: how many evenly weighted cases the log is worth for this policy.
    """

    method: str
    value: float
    low: float
    high: float
    effective_sample_size: float
    cases: int


@dataclass(frozen=True, eq=False)
class Logged:
    """What was shown and what came of it.

    Attributes:
        rewards: ``[n]``.
        propensities: ``[n]`` probability in (0, 1] with which the policy that ran chose what it showed.
        groups: ``[n]`` whose cases are not independent.
    """

    rewards: Values
    propensities: Values
    groups: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        bad = ~((self.propensities > 0) & (self.propensities <= 1))
        if bad.any():
            raise InvalidInputError("propensities", float(self.propensities[bad][0]), "Give probabilities in (0, 1].")
        if not len(self.rewards):
            raise InvalidInputError("rewards", [], "Give at least one logged case.")


def ips(log: Logged, target: Values) -> OffPolicyEstimate:
    """Inverse propensity score.

    Args:
        log: what happened.
        target: ``[n]`` probability with which the other policy would have shown the same.
    """
    weights = target / log.propensities
    return _estimate("IPS", weights * log.rewards, weights, log)


def snips(log: Logged, target: Values) -> OffPolicyEstimate:
    """Self-normalised inverse propensity score; NaN where the other policy would have shown nothing of the log."""
    weights = target / log.propensities
    mean = float(weights.mean())
    if mean <= 0:
        return OffPolicyEstimate("SNIPS", _NAN, _NAN, _NAN, 0.0, len(weights))
    value = float((weights * log.rewards).mean()) / mean
    # the delta method: each case's share in a ratio of means
    return _estimate("SNIPS", value + weights * (log.rewards - value) / mean, weights, log)


def doubly_robust(log: Logged, target: Values, predicted: Values, expected: Values) -> OffPolicyEstimate:
    """Doubly robust.

    Args:
        log: what happened.
        target: as in `ips`.
        predicted: ``[n]`` a model's expected reward of what was shown, from data that do not hold the case.
        expected: ``[n]`` the same model's expected reward of what the other policy would show.
    """
    weights = target / log.propensities
    return _estimate("DR", expected + weights * (log.rewards - predicted), weights, log)


def _estimate(method: str, shares: Values, weights: Values, log: Logged) -> OffPolicyEstimate:
    from scipy.stats import t  # noqa: PLC0415 - only where something is estimated

    mean, error, count = clustered_error(shares, log.groups)
    reach = float(t.isf(0.025, max(count - 1, 1))) * error
    squares = float(np.square(weights).sum())
    size = float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
    return OffPolicyEstimate(method, mean, mean - reach, mean + reach, size, len(shares))


def policy_gap(log: Logged, champion: Values, challenger: Values) -> OffPolicyEstimate:
    """How much more the challenger's policy would have earned than the champion's, by the difference of SNIPS.

    Args:
        log: what happened.
        champion: ``[n]`` probability with which the champion would have shown the same.
        challenger: ``[n]`` the same of the challenger.

    Returns:
        the effective sample size is the smaller of the two policies'.
    """
    first, second = snips(log, challenger), snips(log, champion)
    size = min(first.effective_sample_size, second.effective_sample_size)
    if not np.isfinite([first.value, second.value]).all():
        return OffPolicyEstimate("SNIPS", _NAN, _NAN, _NAN, size, len(champion))
    one, two = challenger / log.propensities, champion / log.propensities
    shares = (
        first.value
        - second.value
        + one * (log.rewards - first.value) / one.mean()
        - two * (log.rewards - second.value) / two.mean()
    )
    both = _estimate("SNIPS", shares, one, log)
    return OffPolicyEstimate("SNIPS", both.value, both.low, both.high, size, both.cases)
