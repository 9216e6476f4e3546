"""Weights that make up for outcomes which are not known yet.

A recommendation is *censored* when its outcome has not been reported by the time of the snapshot: that is no "no". Its
weight is 0; those that did resolve stand in for it with the inverse of the probability that an outcome with their delay
could have been seen (inverse probability of censoring weighting: Robins and Rotnitzky 1992; for learners: Vock et al.
2016, "Adapting machine learning techniques to censored time-to-event health record data"). That probability is the
Kaplan-Meier estimate for the censoring time (Kaplan and Meier 1958, with the roles of event and censoring exchanged).
The fate "nothing came of it" is only known from the horizon on.

The estimator needs that delays do not depend on when something was shown, and a snapshot in which some recommendations
are older than the horizon; `Survival.reach` tells how far the data go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.feedback.ladder import Floats

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Survival:
    """A step function: ``value[i]`` from just after ``time[i]`` on, 1 before.

    Attributes:
        time: ``[k]`` ascending, seconds.
        value: ``[k]`` falling, 0..1.
        reach: the longest time that anything was watched, seconds; 0 without data.
    """

    time: Floats
    value: Floats
    reach: float

    def before(self, at: Floats) -> Floats:
        """Probability to be still watched at ``at``: the value just before it, as an outcome at ``at`` is seen."""
        place = np.searchsorted(self.time, at, side="left")
        return np.concatenate([[1.0], self.value])[place]


def censoring_survival(watched: Floats, resolved: Mask) -> Survival:
    """The Kaplan-Meier estimate of still being watched, as a function of the time since it was shown.

    Args:
        watched: ``[n]`` seconds from being shown to the outcome, or to the snapshot where there is none.
        resolved: ``[n]`` whether the outcome is known.

    Example:
        >>> import numpy as np
        >>> censoring_survival(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, False, True, False])).value.tolist()
        [0.5, 0.0]
    """
    if not len(watched):
        return Survival(np.zeros(0), np.zeros(0), 0.0)
    # An outcome at the very moment of a censoring came first: it leaves the risk set before.
    order = np.lexsort((~resolved, watched))
    time, lost = watched[order], ~resolved[order]
    at_risk = len(time) - np.arange(len(time))
    times, start = np.unique(time[lost], return_index=True)
    risk = at_risk[lost][start]
    gone = np.diff(np.append(start, lost.sum()))
    return Survival(times, np.cumprod(1.0 - gone / risk).astype(np.float64), float(time[-1]))


def censoring_weights(watched: Floats, resolved: Mask, horizon: float, smallest: float = 0.05) -> Floats:
    """Inverse probability of censoring weights.

    Args:
        watched: as in `censoring_survival`; a resolved delay beyond the horizon counts as "not within the horizon".
        resolved: as in `censoring_survival`.
        horizon: seconds after which "nothing yet" is taken as "no".
        smallest: probabilities below are raised to it, which bounds every weight by its inverse.

    Returns:
        ``[n]`` weights: 0 where the fate within the horizon is not known, else 1 or more.
    """
    past = watched >= horizon
    known = resolved | past
    seen = np.minimum(watched, horizon)
    chance = censoring_survival(seen, known).before(seen)
    return np.where(known, 1.0 / np.maximum(chance, smallest), 0.0)
