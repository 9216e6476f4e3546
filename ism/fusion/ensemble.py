"""Several methods as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ism.domain.engine import FusionModelType
from ism.domain.errors import InvalidInputError
from ism.fusion.method import Fused, FusionMethod
from ism.fusion.weighted_sum import Numbers, checked


class Ensemble(FusionMethod):
    """Mean of the members' scores by weight.

    Attributions are the members' own, by the same weights: Shapley values are linear in the game, so those of a mean
    are the mean of theirs.

    Args:
        members: name of a method -> the method.
        shares: name -> weight, non-negative, not all 0.
    """

    name: ClassVar[str] = "ensemble"
    model_type: ClassVar[FusionModelType] = "ensemble"

    def __init__(self, members: Sequence[FusionMethod], shares: Mapping[str, float]) -> None:
        given = checked(shares)
        total = sum(given.values())
        if not members or total <= 0 or set(given) != {member.name for member in members}:
            raise InvalidInputError("shares", dict(shares), "Give one weight to each member, not all of them 0.")
        self.members, self.shares = list(members), {name: share / total for name, share in given.items()}
        super().__init__(self._say())

    def value(self, opinions: Mapping[str, Numbers]) -> Numbers:
        """Fused scores; see `FusionMethod.value`."""
        return np.asarray(sum(self.shares[member.name] * member.value(opinions) for member in self.members))

    def fuse(self, opinions: Mapping[str, Numbers]) -> Fused[Numbers]:
        """Fused scores with the members' attributions."""
        fused = [(self.shares[member.name], member.fuse(opinions)) for member in self.members]
        shares = {name: np.asarray(sum(part * each.contributions[name] for part, each in fused)) for name in opinions}
        return Fused(np.asarray(sum(part * each.final for part, each in fused)), shares)

    def parameters(self) -> dict[str, Any]:
        """See `FusionMethod.parameters`."""
        return {
            "members": [
                {"method": member.name, "weights": member.weights, **member.parameters()} for member in self.members
            ],
            "shares": self.shares,
        }

    @classmethod
    def from_parameters(cls, weights: Mapping[str, float], parameters: Mapping[str, Any]) -> Self:
        """See `FusionMethod.from_parameters`; the weights follow from the members."""
        from ism.fusion.methods import make  # noqa: PLC0415 - the table lists this method too

        members = [make(each["method"], each["weights"], each) for each in parameters["members"]]
        return cls(members, parameters["shares"])

    def _say(self) -> dict[str, float]:
        """Engine -> mean of its share in each member."""
        out: dict[str, float] = {}
        for member in self.members:
            total = sum(member.weights.values()) or 1.0
            for engine, weight in member.weights.items():
                out[engine] = out.get(engine, 0.0) + self.shares[member.name] * weight / total
        return out
