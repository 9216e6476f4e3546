"""Markdown of the results: each run replaces its own section of the page and leaves the rest as it is."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.metrics import METRICS
from bench.peers import BUDGET
from bench.protocol import FUSED_LEARNED, GAP_METRICS, RULES
from ism.domain.errors import InvalidInputError

_HEADS = {"recall@1": "R@1", "recall@5": "R@5", "recall@10": "R@10", "mrr": "MRR"}
_SUBSET_METRICS = ("recall@10", "mrr")
PEER_NOTES = f"""\
*Peers* know identifiers only, and the senders that are asked about were never seen. So a sender and its waste are
taken apart into tokens: material (one not seen before is spread over its closest known ones), List-of-Waste code and
sector at three levels, site, cells of 1, 3 and 8 degrees (shared with neighbouring cells), the cells of the receivers'
homes, and pairs of these. `implicit` factorises (token, receiver) counts by alternating least squares and adds up an
offer's token vectors; `pykeen` is ComplEx on (token, kind, receiver) triples, whose log probabilities are added up.
Each tries {BUDGET} configurations on a fifth of the training groups and is fitted again on all with the best; the
engines and the fusion run with their defaults."""
_EMPTY_PAGE = "# Benchmarks\n"


def ranking_section(found: Mapping[str, Any], title: str, notes: str, about: str) -> str:
    """A section of one of the ranking protocols.

    Args:
        found: as `bench.protocol.result` gives it.
        title: of the section.
        notes: what was measured, in Markdown.
        about: how it was run, from `provenance`.
    """
    lines = [f"## {title}", "", notes, *([PEER_NOTES, ""] if found["peers"] else []), about, ""]
    lines += [f"{_count(found)}; {found['candidates']} candidates.", ""]
    lines += [*_table(found, METRICS), "", *_differences(found), *_ablation(found)]
    for name, part in found.items():
        if isinstance(part, Mapping) and "n" in part:
            lines += ["", f"*{name.replace('_', ' ').capitalize()}*: {_count(part)}.", ""]
            lines += _table(part, _SUBSET_METRICS) if part["n"] else []
    return "\n".join(lines)


def provenance(command: str, versions: Mapping[str, str], seconds: float) -> str:
    """One line that says when, how and with what a section was made."""
    made_with = ", ".join(f"{name} {number}" for name, number in versions.items())
    day = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"`{command}`, {day}, {seconds:.0f} s on {machine}; {made_with}."


def write_section(page: Path, name: str, body: str) -> None:
    """Replace the section between the markers of ``name``; add it at the end where there is none.

    Args:
        page: the Markdown file; made where it does not exist.
        name: of the section.
        body: its new text.

    Raises:
        InvalidInputError: the page has one of the two markers only, or one of them twice.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else _EMPTY_PAGE
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if (text.count(begin), text.count(end)) not in {(0, 0), (1, 1)}:
        remedy = f"Keep exactly one {begin} and one {end}, or none of both."
        raise InvalidInputError(str(page), f"{text.count(begin)} and {text.count(end)} markers of {name}", remedy)
    section = f"{begin}\n{body.strip()}\n{end}"
    if begin in text:
        text = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: section, text, flags=re.DOTALL)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    fresh = page.with_name(page.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(page)


def _count(found: Mapping[str, Any]) -> str:
    told = f"{found['n']} questions in {found['groups']} groups"
    missing = 1.0 - found["reachable"] if found["n"] else 0.0
    return told + (f", {missing:.1%} of them with no true receiver among the candidates" if missing else "")


def _table(found: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    rows = [("**fused**", found["fused"])]
    rows += [("**fused, learned weights**", found[FUSED_LEARNED])] if FUSED_LEARNED in found else []
    rows += [(f"engine `{name}` alone", value) for name, value in found["engines"].items()]
    if f"without_{RULES}" in found:
        rows.append(("fused, without the curated rules", found[f"without_{RULES}"]))
    if len(found["engines"]) > 2:  # of two engines, the fusion without one is the other alone
        rows += [(f"fused, without `{name}`", value) for name, value in found["without_engine"].items()]
    rows += [(f"peer `{name}`", value) for name, value in found["peers"].items()]
    rows += [(f"baseline `{name}`", value) for name, value in found["baselines"].items()]
    head = "| method | " + " | ".join(_HEADS[metric] for metric in metrics) + " |"
    return [head, "|---" * (len(metrics) + 1) + "|", *(_row(name, value, metrics) for name, value in rows)]


def _row(name: str, value: Mapping[str, Any], metrics: Sequence[str]) -> str:
    cells = [f"{_number(value[metric])} {_interval(*value['intervals'][metric])}" for metric in metrics]
    return f"| {name} | " + " | ".join(cells) + " |"


def _differences(found: Mapping[str, Any]) -> list[str]:
    told = [
        f"Fused less the best baseline, {_HEADS[metric]}: {gap['mean']:+.3f} "
        f"(95 % interval {gap['low']:+.3f} to {gap['high']:+.3f}; best is `{gap['baseline']}`).  "
        for metric, gap in found["difference"].items()
    ]
    return told + [
        f"Fused less peer `{name}`, {_HEADS[metric]}: {_gap(gap)}.  "
        for name, gaps in found["peer_difference"].items()
        for metric, gap in gaps.items()
    ]


def _ablation(found: Mapping[str, Any]) -> list[str]:
    """What each engine adds: fused less the fusion without it, with a verdict that the interval gives."""
    gaps = found["without_engine_difference"]
    if not gaps:
        return []
    head = "| fused less the fusion without | " + " | ".join(_HEADS[metric] for metric in GAP_METRICS) + " |"
    rows = [f"| `{name}` | " + " | ".join(_gap(gaps[name][metric]) for metric in GAP_METRICS) + " |" for name in gaps]
    verdicts = [_verdict(name, gap) for name, gap in gaps.items()]
    return ["", head, "|---" * (len(GAP_METRICS) + 1) + "|", *rows, "", " ".join(verdicts)]


def _verdict(name: str, gaps: Mapping[str, Mapping[str, float]]) -> str:
    costs = [_HEADS[metric] for metric in GAP_METRICS if gaps[metric]["low"] > 0]
    helps = [_HEADS[metric] for metric in GAP_METRICS if gaps[metric]["high"] < 0]
    if costs and helps:
        return f"Removing `{name}` costs {' and '.join(costs)} and gains {' and '.join(helps)} on this set."
    if costs:
        return f"Removing `{name}` costs {' and '.join(costs)} on this set."
    if helps:
        return f"Removing `{name}` costs nothing on this set: {' and '.join(helps)} rises without it."
    return f"Removing `{name}` costs nothing that these questions can show: both intervals hold zero."


def _gap(gap: Mapping[str, Any]) -> str:
    return f"{gap['mean']:+.3f} (95 % interval {gap['low']:+.3f} to {gap['high']:+.3f})"


def _interval(low: float, high: float) -> str:
    return f"<sub>{_number(low)}–{_number(high)}</sub>"


def _number(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.3f}"
