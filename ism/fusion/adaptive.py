"""Weights that follow matured outcomes: fixed-share Hedge.

Each engine is an expert. Its loss for an outcome is the log loss of its probability, and the fused probability is the
weighted mean, so that the fused log loss is mixable with rate 1 (it is the predictive log loss of a Bayesian mixture).
After each outcome every weight is multiplied by ``exp(-rate * loss)`` and a part ``share`` of all weight is spread
evenly again, so that an engine that was bad for long can come back within a few outcomes when another one breaks.

Guarantee (Herbster and Warmuth 1998, "Tracking the best expert"; Cesa-Bianchi and Lugosi 2006, "Prediction, learning,
and games", section 5.2). With rate 1, ``n`` engines that all speak, ``T`` outcomes of weight 1 and any sequence of
engines with ``m`` switches::

    loss(fused) <= loss(sequence) + log(1 / w1) + m * log(n / share) + (T - 1 - m) * log(1 / (1 - share))

where ``w1`` is the starting weight of the sequence's first engine. With ``share = m / (T - 1)`` this is
``log(1 / w1) + m log n + (T - 1) H(m / (T - 1))``, H the binary entropy in nats. `regret_bound` computes it.

An engine that is silent is taken to have the fused loss, which leaves its weight as it is among the others (Freund,
Schapire, Singer and Warmuth 1997, "Using and combining predictors that specialize"). The guarantee is then about the
outcomes for which the engines spoke.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ism.domain.errors import InvalidInputError
from ism.fusion.linear_pool import WeightedSum

Doubles = npt.NDArray[np.float64]

RATE = 1.0  # largest for which the bound holds without a further term
SHARE = 0.01  # of all weight, spread evenly after each outcome: one switch in 100 is expected
_EDGE = 1e-3  # a probability counts as at least this, so that a single outcome costs at most 6.9 nats


@dataclass(frozen=True, slots=True)
class Hedge:
    """The rule by which weights follow outcomes.

    Attributes:
        rate: 0..1; smaller is slower than the guarantee needs.
        share: 0..1 of all weight that is spread evenly after each outcome; 0 is plain Hedge.
    """

    rate: float = RATE
    share: float = SHARE

    def __post_init__(self) -> None:
        for field in ("rate", "share"):
            value = getattr(self, field)
            if not 0.0 <= value <= 1.0:
                raise InvalidInputError(field, value, "Give a number between 0 and 1.")

    def step(self, weights: Doubles, said: Doubles, label: float, mass: float = 1.0) -> tuple[Doubles, float]:
        """Weights after one matured outcome, and the fused log loss before it, in nats.

        Args:
            weights: ``[k]``, adding up to 1.
            said: ``[k]`` probability of each engine; NaN where it was silent.
            label: 1 where the match came about, else 0; between them where that is not sure.
            mass: how much the outcome counts; more than 1 counts as 1, as the guarantee asks.
        """
        mass = min(mass, 1.0)
        spoke = ~np.isnan(said) & (weights > 0)
        if mass <= 0 or not spoke.any():
            return weights, 0.0
        sure = np.clip(said[spoke], _EDGE, 1 - _EDGE)
        losses = -(label * np.log(sure) + (1 - label) * np.log(1 - sure))
        before = weights[spoke].sum()
        fused = float((weights[spoke] @ sure) / before)
        loss = -(label * np.log(fused) + (1 - label) * np.log(1 - fused))
        kept = weights[spoke] * np.exp(-self.rate * mass * (losses - losses.min()))
        after = weights.copy()
        after[spoke] = kept * (before / kept.sum())
        spread = self.share * mass
        return (1 - spread) * after + spread / len(after), float(mass * loss)

    def run(
        self, weights: Doubles, said: Doubles, label: Doubles, mass: Doubles | None = None
    ) -> tuple[Doubles, Doubles]:
        """``[t, k]`` weights after each of ``t`` outcomes, and ``[t]`` losses; arguments as in `step`, in order."""
        counts = np.ones(len(label)) if mass is None else mass
        history, losses = np.zeros_like(said), np.zeros(len(label))
        for number in range(len(label)):
            weights, losses[number] = self.step(weights, said[number], float(label[number]), float(counts[number]))
            history[number] = weights
        return history, losses

    def regret_bound(self, outcomes: int, switches: int, engines: int, first: float | None = None) -> float:
        """Most nats by which the fused log loss exceeds that of any sequence of engines with so many switches.

        Args:
            outcomes: ``T``.
            switches: ``m``.
            engines: ``n``.
            first: starting weight of the sequence's first engine; even when not given.
        """
        if self.rate != 1.0:
            raise InvalidInputError("rate", self.rate, "The guarantee is for rate 1.")
        start = np.log(engines) if first is None else -np.log(first)
        if switches and not self.share:
            return float("inf")
        moved = switches * np.log(engines / self.share) if switches else 0.0
        return float(start + moved - (outcomes - 1 - switches) * np.log1p(-self.share))


class Adaptive(WeightedSum):
    """The weighted sum with the weights that `Hedge` arrived at."""

    name: ClassVar[str] = "adaptive"

    def __init__(self, weights: Mapping[str, float], hedge: Hedge | None = None) -> None:
        super().__init__(weights)
        self.hedge = hedge or Hedge()

    def parameters(self) -> dict[str, Any]:
        """See `FusionMethod.parameters`."""
        return {"rate": self.hedge.rate, "share": self.hedge.share}

    @classmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """See `FusionMethod.from_parameters`."""
        return cls(weights, Hedge(float(parameters.get("rate", RATE)), float(parameters.get("share", SHARE))))
