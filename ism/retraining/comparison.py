"""What the gate looks at: champion and challenger on the same fresh cases, and the limits they are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ism.engines.metrics import Values
from ism.retraining.off_policy import OffPolicyEstimate
from ism.retraining.slices import Mask


@dataclass(frozen=True, eq=False)
class Measured:
    """One model on the fresh cases.

    Attributes:
        gains: ``[q]`` the metric of each case, nDCG@10 in 0..1.
        probabilities: ``[m]`` of pairs, in 0..1; the same pairs for every model.
        seconds: ``[q]`` that scoring each case took.
        receivers_shown: distinct receivers among the first ten of all cases.
    """

    gains: Values
    probabilities: Values
    seconds: Values
    receivers_shown: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Champion and challenger, scored again on the same fresh cases.

    Attributes:
        champion: None for the first model of its name.
        references: ``[q]`` gains of plain methods that a first model must beat; used without a champion only.
        happened: ``[m]`` 1 where the pair of `Measured.probabilities` came to an exchange, else 0.
        groups: ``[q]`` company of each case, whose cases are drawn together.
        raters: ``[q]`` who said what happened.
        slices: name -> ``[q]`` which cases belong to it.
        off_policy: what the log says of the two policies, or the reason why it cannot say anything; None is missing.
    """

    challenger: Measured
    champion: Measured | None
    references: Mapping[str, Values]
    happened: Values
    groups: np.ndarray[Any, Any]
    raters: np.ndarray[Any, Any]
    slices: Mapping[str, Mask]
    off_policy: OffPolicyEstimate | str | None


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """Limits of the gate.

    Attributes:
        alpha: error level of the whole sequence of looks; see `ism.retraining.alpha_spending`.
        slice_alpha: level of "no slice is worse", after Holm's correction.
        fewest_cases, fewest_groups: with fewer the gate holds.
        fewest_slice_groups: slices with fewer are listed and not tested.
        most_calibration_error: allowed for a first model, 0..1.
        calibration_loss: how much larger than the champion's the error may be, 0..1.
        coverage_share: least share of the champion's distinct receivers.
        latency_ratio: most times the champion's p95.
        latency_s: p95 in seconds that is always fine, so that a fast champion forbids no millisecond more.
        dropped_raters: share of raters that the influence check drops.
        draws: of the bootstrap.
        least_effective_cases: below this effective sample size the log has no veto.
    """

    alpha: float = 0.05
    slice_alpha: float = 0.05
    fewest_cases: int = 30
    fewest_groups: int = 10
    fewest_slice_groups: int = 5
    most_calibration_error: float = 0.10
    calibration_loss: float = 0.02
    coverage_share: float = 0.8
    latency_ratio: float = 1.5
    latency_s: float = 0.25
    dropped_raters: float = 0.01
    least_effective_cases: float = 50.0
    draws: int = 2000


def rivals(found: Comparison) -> dict[str, Values]:
    """Gains of whom the challenger must beat: the champion, or plain methods where there is none."""
    return {"champion": found.champion.gains} if found.champion is not None else dict(found.references)
