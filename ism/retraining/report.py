"""A decision of the gate as a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MEANS = {
    "PASS": "The challenger may stage.",
    "HOLD": "Nothing changes until more is known.",
    "REJECT": "The challenger is refused; the champion stays.",
}


def gate_report(decision: Mapping[str, Any], about: Mapping[str, object]) -> str:
    """Markdown of a decision.

    Args:
        decision: as `ism.retraining.gate.Decision.as_dict` gives it.
        about: what to say first, label -> value.
    """
    verdict = decision["verdict"]
    lines = [f"# Gate: {verdict}", "", _MEANS[verdict], ""]
    lines += [f"- {label}: {value}" for label, value in about.items()]
    lines += [f"- error level spent by this look: {decision['level']:.3g}, one-sided", ""]
    if decision["first"]:
        lines += ["There was no champion, so the model had to beat the plain methods.", ""]
    lines += ["| check | verdict | why |", "|---|---|---|"]
    lines += [
        f"| {check['name'].replace('_', ' ')} | {check['verdict']} | {check['reason']} |"
        for check in decision["checks"]
    ]
    slices: list[dict[str, Any]] = [one for check in decision["checks"] for one in check["numbers"].get("slices", ())]
    if slices:
        lines += [
            "",
            "| slice | cases | companies | difference | Holm-adjusted p of being worse |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {one['name']} | {one['cases']} | {one['groups']} | {one['gap']:+.4f} | {_p(one['p_worse'])} |"
            for one in slices
        ]
    return "\n".join(lines) + "\n"


def _p(value: float | None) -> str:
    return "too few companies" if value is None else f"{value:.3g}"
