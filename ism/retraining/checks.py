"""The parts of the gate, each a pure function of what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from ism.engines.metrics import Values
from ism.retraining.bootstrap import PairedTest, paired_test
from ism.retraining.calibration_error import calibration_error
from ism.retraining.comparison import Comparison, GatePolicy, Measured, rivals
from ism.retraining.influence import without_most_influential
from ism.retraining.slices import compare_slices

Verdict = Literal["PASS", "HOLD", "REJECT"]


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the gate: what was found, in words and numbers."""

    name: str
    verdict: Verdict
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)


def evidence(found: Comparison, policy: GatePolicy) -> Check:
    """Whether there is enough to judge at all."""
    gains, others = found.challenger.gains, rivals(found)
    cases, groups = len(gains), len(np.unique(found.groups))
    numbers = {"cases": cases, "companies": groups, "raters": len(np.unique(found.raters))}
    reason = None
    if not others:
        reason = "There is neither a champion nor a plain method to compare with."
    elif any(len(values) != cases for values in (*others.values(), found.groups, found.raters)):
        reason = "The models were not scored on the same cases."
    elif any(not np.isfinite(values).all() for values in (gains, *others.values())):
        reason = "A metric is missing or not a number."
    elif cases < policy.fewest_cases:
        reason = f"{cases} fresh cases have matured; {policy.fewest_cases} are needed."
    elif groups < policy.fewest_groups:
        reason = f"The fresh cases come from {groups} companies; {policy.fewest_groups} are needed."
    if reason:
        return Check("evidence", "HOLD", reason, numbers)
    return Check("evidence", "PASS", f"{cases} fresh cases of {groups} companies.", numbers)


def better(found: Comparison, policy: GatePolicy, level: float, seed: int) -> Check:
    """Better than every rival: each must be beaten at the full level, so their number needs no correction."""
    tests = {
        name: paired_test(found.challenger.gains - values, found.groups, level, seed, policy.draws)
        for name, values in rivals(found).items()
    }
    numbers = {"challenger_mean": float(found.challenger.gains.mean()), **{n: asdict(t) for n, t in tests.items()}}
    name, hardest = min(tests.items(), key=lambda item: item[1].low)
    said = _said(name, hardest)
    if hardest.low > 0:
        return Check("better", "PASS", said, numbers)
    if any(test.high < 0 or test.p_worse <= policy.alpha for test in tests.values()):  # refusing spends nothing
        return Check("better", "REJECT", f"Worse: {said}", numbers)
    return Check("better", "HOLD", f"Not shown to be better: {said}", numbers)


def _said(name: str, test: PairedTest) -> str:
    return (
        f"{test.mean:+.4f} nDCG@10 against {name.replace('_', ' ')}, "
        f"bounds {test.low:+.4f} to {test.high:+.4f} at level {test.level:.2g} each."
    )


def _strongest(found: Comparison) -> Values:
    return max(rivals(found).values(), key=lambda values: float(values.mean()))


def slices(found: Comparison, policy: GatePolicy) -> Check:
    """Nobody served worse: each slice against the strongest rival, with Holm's correction."""
    gaps = found.challenger.gains - _strongest(found)
    findings = compare_slices(gaps, found.groups, found.slices, policy.fewest_slice_groups)
    numbers = {"slices": [asdict(finding) for finding in findings], "level": policy.slice_alpha}
    if not findings:
        return Check("slices", "HOLD", "No slice was given, so nobody knows for whom it is worse.", numbers)
    worse = [one for one in findings if one.p_worse is not None and one.p_worse <= policy.slice_alpha]
    if worse:
        names = ", ".join(f"{one.name} ({one.gap:+.3f}, p {one.p_worse:.2g})" for one in worse)
        return Check("slices", "REJECT", f"Worse on {names}, after Holm's correction.", numbers)
    tested = sum(one.p_worse is not None for one in findings)
    return Check(
        "slices", "PASS", f"None of {tested} slices is worse; {len(findings) - tested} are too small.", numbers
    )


def influence(found: Comparison, policy: GatePolicy, level: float, seed: int) -> Check:
    """Still better without the raters that carry the gain most."""
    tests = {}
    for name, values in rivals(found).items():
        gaps = found.challenger.gains - values
        kept = without_most_influential(gaps, found.raters, policy.dropped_raters)
        if len(np.unique(found.groups[kept])) < 2:
            return Check("influence", "HOLD", "Too few raters: without the most influential, fewer than two remain.")
        tests[name] = paired_test(gaps[kept], found.groups[kept], level, seed, policy.draws)
    name, hardest = min(tests.items(), key=lambda item: item[1].low)
    numbers = {key: asdict(test) for key, test in tests.items()}
    share = f"Without the most influential {policy.dropped_raters:.0%} of raters: "
    verdict: Verdict = "PASS" if hardest.low > 0 else "HOLD"
    return Check("influence", verdict, share + _said(name, hardest), numbers)


def off_policy(found: Comparison, policy: GatePolicy) -> Check:
    """Whether the log of what was shown speaks against it."""
    told = found.off_policy
    if told is None:
        return Check("off_policy", "HOLD", "Whether the log speaks against the challenger was not looked at.")
    if isinstance(told, str):
        return Check("off_policy", "PASS", f"No veto: {told}")
    numbers = asdict(told)
    if told.effective_sample_size < policy.least_effective_cases:
        size = f"{told.effective_sample_size:.0f} of {policy.least_effective_cases:.0f} effective cases"
        return Check("off_policy", "PASS", f"No veto: the log is worth only {size}.", numbers)
    if not np.isfinite([told.value, told.low, told.high]).all():
        return Check("off_policy", "HOLD", "The estimate from the log is not a number.", numbers)
    said = f"{told.method} {told.value:+.4f} ({told.low:+.4f} to {told.high:+.4f})"
    if told.high < 0:
        return Check("off_policy", "REJECT", f"The log speaks against it: {said}.", numbers)
    return Check("off_policy", "PASS", f"No veto: {said}.", numbers)


def calibration(found: Comparison, policy: GatePolicy) -> Check:
    """Whether probabilities mean what they say, and not less than the champion's."""

    def error(model: Measured) -> float:
        if len(model.probabilities) != len(found.happened) or not np.isfinite(model.probabilities).all():
            return float("nan")
        return calibration_error(model.probabilities, found.happened)

    mine = error(found.challenger)
    limit = policy.most_calibration_error
    if found.champion is not None:
        limit = error(found.champion) + policy.calibration_loss
    return _limited("calibration", "expected calibration error", mine, limit, 1.0, "")


def coverage(found: Comparison, policy: GatePolicy) -> Check:
    """Whether it still shows many different receivers."""
    shown = found.challenger.receivers_shown
    least = 1.0 if found.champion is None else policy.coverage_share * found.champion.receivers_shown
    numbers = {"receivers_shown": shown, "least": least}
    verdict: Verdict = "PASS" if shown >= least else "REJECT"
    return Check("coverage", verdict, f"{shown} distinct receivers in the first ten; at least {least:.1f}.", numbers)


def latency(found: Comparison, policy: GatePolicy) -> Check:
    """Whether it answers in time."""

    def p95(model: Measured) -> float:
        return float(np.quantile(model.seconds, 0.95)) if len(model.seconds) else float("nan")

    limit = policy.latency_s
    if found.champion is not None:
        slowest = policy.latency_ratio * p95(found.champion)
        limit = max(limit, slowest) if np.isfinite(slowest) else slowest
    return _limited("latency", "p95", p95(found.challenger), limit, 1000.0, " ms")


def _limited(name: str, what: str, value: float, limit: float, scale: float, unit: str) -> Check:
    numbers = {"value": value, "limit": limit}
    if not np.isfinite([value, limit]).all():
        return Check(name, "HOLD", f"The {what} of a model is missing or not a number.", numbers)
    said = f"{what} {scale * value:.3g}{unit}, limit {scale * limit:.3g}{unit}."
    return Check(name, "PASS" if value <= limit else "REJECT", said[0].upper() + said[1:], numbers)
