"""A test that may be looked at after every outcome: betting against "no harm", and against "no better than harm".

Differences ``d`` between the arms, in -1..1, come one at a time. For each of several stakes ``l`` the wealth

    prod_t (1 + l (d_t - m))

starts at 1 and cannot grow on average while the mean of ``d`` is at most ``m``; so does the average over the stakes.
By Ville's inequality its chance of *ever* reaching ``1 / alpha`` is then at most alpha, so looking often costs nothing
(Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"; Ramdas, Gruenwald, Vovk and
Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference"). Two processes run:

- *harm*: against "the challenger's mean is not below the champion's".
- *safety*: against "the challenger's mean is at least ``margin`` below the champion's".

A company counts once, with its first outcome in the canary: its later ones are not independent of it, and bets are
fair only when each difference has the same mean given what came before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ism.engines.metrics import Values

Arm = Literal["champion", "challenger"]
Verdict = Literal["harm", "safe", "open"]

# Of the largest stake that cannot lose all; even shares, so that small and large differences are both found.
_STAKES = np.asarray([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """What came of one company's visit during a canary.

    Attributes:
        value: 0..1; 1 is best.
    """

    company: str
    arm: Arm
    value: float


@dataclass(frozen=True, slots=True)
class CanaryEvidence:
    """Where the two processes stand.

    Attributes:
        harm, safety: largest wealth reached so far; a claim holds from ``1 / alpha`` on.
        champion, challenger: companies that counted in each arm.
    """

    verdict: Verdict
    harm: float
    safety: float
    champion: int
    challenger: int
    champion_mean: float | None
    challenger_mean: float | None


def wealth(differences: Values, mean: float) -> Values:
    """``[t]`` wealth after each difference in -1..1, betting that their mean is above ``mean`` in (-1, 1).

    The process starts at 1 before the first; empty in, empty out.
    """
    largest = 1.0 / (1.0 + mean)  # with it, a difference of -1 loses everything
    stakes = _STAKES[:, None] * largest
    # The log first: a long run of products would leave the range of numbers.
    logs = np.cumsum(np.log1p(stakes * (differences[None, :] - mean)), axis=1)
    return np.asarray(np.exp(np.minimum(logs, 700.0)).mean(axis=0))


def canary_evidence(outcomes: Iterable[ArmOutcome], alpha: float, margin: float) -> CanaryEvidence:
    """Where a canary stands after its outcomes, in the order in which they matured.

    Args:
        outcomes: of both arms.
        alpha: chance of a false alarm, and of a false all-clear, however often one looks.
        margin: largest loss of the mean that counts as safe, in 0..1.
    """
    differences, means, counts = _differences(outcomes)
    harm = float(wealth(-differences, 0.0).max(initial=1.0))
    safety = float(wealth(differences, -margin).max(initial=1.0))
    verdict: Verdict = "harm" if harm >= 1 / alpha else "safe" if safety >= 1 / alpha else "open"
    return CanaryEvidence(
        verdict, harm, safety, counts["champion"], counts["challenger"], means["champion"], means["challenger"]
    )


def _differences(outcomes: Iterable[ArmOutcome]) -> tuple[Values, dict[Arm, float | None], dict[Arm, int]]:
    """Means of the companies of both arms that came since the last pair, challenger less champion."""
    seen: set[str] = set()
    waiting: dict[Arm, list[float]] = {"champion": [], "challenger": []}
    every: dict[Arm, list[float]] = {"champion": [], "challenger": []}
    found = []
    for outcome in outcomes:
        if outcome.company in seen:
            continue
        seen.add(outcome.company)
        waiting[outcome.arm].append(outcome.value)
        every[outcome.arm].append(outcome.value)
        if waiting["champion"] and waiting["challenger"]:
            found.append(float(np.mean(waiting["challenger"]) - np.mean(waiting["champion"])))
            waiting = {"champion": [], "challenger": []}
    means: dict[Arm, float | None] = {arm: float(np.mean(values)) if values else None for arm, values in every.items()}
    return np.asarray(found, dtype=np.float64), means, {arm: len(values) for arm, values in every.items()}
