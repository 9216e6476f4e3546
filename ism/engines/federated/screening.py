"""Which updates may count: each is judged before it is averaged, and whoever is left out is named with the reason.

1. *Form*: the arrays that were asked for, finite, with a count that is a whole number.
2. *Length*: gradients are clipped by the sites' own rule, so that an honest update has a longest possible length.
3. *Direction*: the weights of pairs (distance, needs) are shared by all sites, so that honest sites pull them the same
   way as long as they are far from their optimum. A site that pulls against the coordinate-wise median of all
   directions is left out for the rest of the run. Near the optimum directions disagree anyway, and nothing is judged.
   The idea of scoring updates by a cosine is that of Cao et al. 2021, "FLTrust"; the median (Yin et al. 2018,
   "Byzantine-robust distributed learning") stands in for their server's own data, which there is none of here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.engines.federated.model import Parameters
from ism.engines.federated.plan import Plan

MOST_EXAMPLES = 10_000_000  # records of a site that are believed
_SPREAD = 0.5  # of one record's pull, in units of ``clip``: about half of the longest possible
_DEVIATIONS = 3.0  # standard deviations by which a pull must be against the others, so that chance does not explain it
_COHERENCE = 0.6  # length of the median direction (1: all the same) from which sites agree enough to judge one of them
_AGAINST = -0.2  # cosine with the median below which an update points against it


@dataclass(frozen=True, slots=True)
class Update:
    """What a site sent back.

    Attributes:
        site: its name.
        arrays: as they came.
        examples: records that it says it has.
    """

    site: str
    arrays: Mapping[str, npt.NDArray[np.generic]]
    examples: float


def screened(updates: Sequence[Update], start: Parameters, plan: Plan) -> dict[str, str]:
    """Site -> why its update must not count, for those that must not.

    Args:
        updates: of one round.
        start: the global parameters that the sites started from.
        plan: of the federation.
    """
    reasons = {update.site: _malformed(update, start) for update in updates}
    sound = [update for update in updates if not reasons[update.site]]
    if plan.aggregation == "mean":
        return {site: reason for site, reason in reasons.items() if reason}
    for update in sound:
        length = Parameters.of(update.arrays).plus(start, -1.0).norm
        longest = plan.longest_update(int(update.examples), start.size, start.norm)
        if length > longest:
            reasons[update.site] = (
                f"huge update: length {length:.3g}, and no honest update is longer than {longest:.3g}"
            )
    reasons.update(_against([update for update in sound if not reasons[update.site]], start, plan))
    return {site: reason for site, reason in reasons.items() if reason}


def _malformed(update: Update, start: Parameters) -> str:
    expected = {name: array.shape for name, array in start.arrays().items()}
    given = {name: array.shape for name, array in update.arrays.items()}
    if given != expected:
        return f"sent arrays of the shapes {given}, not {expected}"
    if not all(np.isfinite(np.asarray(array, dtype=np.float64)).all() for array in update.arrays.values()):
        return "sent values that are not finite numbers (NaN or infinite)"
    if not np.isfinite(update.examples) or update.examples < 0 or update.examples != int(update.examples):
        return f"says it has {update.examples} exchanges"
    if update.examples > MOST_EXAMPLES:
        return f"says it has {update.examples:.0f} exchanges; more than {MOST_EXAMPLES} are not believed"
    return ""


def _against(updates: Sequence[Update], start: Parameters, plan: Plan) -> dict[str, str]:
    pulls = {update.site: Parameters.of(update.arrays).pair - start.pair for update in updates if update.examples > 0}
    unit = {site: pull / np.float32(np.linalg.norm(pull)) for site, pull in pulls.items() if pull.any()}
    if len(unit) < 3:  # of two that disagree nobody knows which is right
        return {}
    median = np.median(np.stack([*unit.values()]), axis=0)
    coherence = float(np.linalg.norm(median))
    if coherence < _COHERENCE:
        return {}
    found = {}
    for update in updates:
        cosine = float(unit[update.site] @ median) / coherence if update.site in unit else 0.0
        back = -float(pulls[update.site] @ median) / coherence if update.site in unit else 0.0
        if cosine < _AGAINST and back > _by_chance(update.examples, plan):
            found[update.site] = (
                f"pulls the shared weights against the other sites (cosine {cosine:.2f} with their median), "
                "as exchanged or flipped labels do"
            )
    return found


def _by_chance(examples: float, plan: Plan) -> float:
    """How far an honest site may pull in any direction: its few records differ, and noise adds to it."""
    spread = _SPREAD / math.sqrt(examples) + plan.noise / examples
    return _DEVIATIONS * plan.local_steps * plan.rates[1] * plan.clip * spread
