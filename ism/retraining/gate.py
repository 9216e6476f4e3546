"""The gate: whether a challenger may stage, with every reason.

`decide` is a pure function of what was measured. A check passes, holds or rejects. One rejection rejects; else one hold
holds; only when all pass does the challenger. What is missing or not a number holds, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ism.retraining import checks
from ism.retraining.checks import Check, Verdict
from ism.retraining.comparison import Comparison, GatePolicy

_WORST_FIRST: tuple[Verdict, ...] = ("REJECT", "HOLD", "PASS")


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer.

    Attributes:
        level: one-sided error level that this look spent.
        first: whether there was no champion.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    level: float
    first: bool

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass; empty where it did."""
        return [f"{check.name}: {check.reason}" for check in self.checks if check.verdict != "PASS"]

    def as_dict(self) -> dict[str, Any]:
        """JSON values; a number that is not finite becomes null."""
        return {name: _plain(value) for name, value in asdict(self).items()} | {"reasons": self.reasons}


def decide(found: Comparison, policy: GatePolicy, level: float, seed: int = 0) -> Decision:
    """Compare, check by check.

    Args:
        found: what was measured.
        policy: limits.
        level: one-sided error level of this look, from `ism.retraining.alpha_spending.level`.
        seed: of the bootstrap.
    """
    done = [checks.evidence(found, policy)]
    if done[0].verdict == "PASS":
        done += [
            checks.better(found, policy, level, seed),
            checks.slices(found, policy),
            checks.influence(found, policy, level, seed),
            checks.off_policy(found, policy),
        ]
    done += [checks.calibration(found, policy), checks.coverage(found, policy), checks.latency(found, policy)]
    worst = next(verdict for verdict in _WORST_FIRST if any(check.verdict == verdict for check in done))
    return Decision(worst, tuple(done), level, found.champion is None)


def _plain(value: object) -> object:
    convert: dict[type, Callable[[Any], object]] = {
        dict: lambda found: {str(key): _plain(item) for key, item in found.items()},
        list: lambda found: [_plain(item) for item in found],
        tuple: lambda found: [_plain(item) for item in found],
        float: lambda found: found if np.isfinite(found) else None,
    }
    if isinstance(value, np.generic):
        value = value.item()
    return convert[type(value)](value) if type(value) in convert else value
