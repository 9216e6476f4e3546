"""From training precedents and test questions to the numbers of a report: what all protocols share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.baselines import Asked, Baseline, all_scores
from bench.metrics import METRICS, compared, difference, gains, summary
from bench.peers import Peer, peer_scores
from ism.data.market import Rows
from ism.engines.base import Snapshot
from ism.engines.metrics import Values, best_ranks
from ism.fusion.evidence import EngineFactory
from ism.fusion.fit import FittedFusion, fit_fusion
from ism.fusion.layer import LEARNED_MODEL
from ism.fusion.methods import method_of
from ism.fusion.weighted_sum import weighted_sum
from ism.retraining.bootstrap import GroupBootstrap

Ranks = dict[str, Values]  # method -> [q]; "fused", "engines/NAME", "baselines/NAME", "without/NAME", "peers/NAME"
Mask = npt.NDArray[np.bool_]

RULES = "rules"
FUSED_LEARNED = "fused_learned"  # a second fusion, with learned weights, where a run has one
GAP_METRICS = ("recall@10", "mrr")
_BLOCK = 64  # questions scored at a time


@dataclass(frozen=True)
class Split:
    """Training precedents, and test questions about them.

    Attributes:
        snapshot: what may be learnt from; its receivers are the candidates.
        asked: the ``q`` questions.
        takers: rows of each question's true receivers among the candidates; empty where none is.
        hidden: rows that do not compete for a question.
    """

    snapshot: Snapshot
    asked: Asked
    takers: list[Rows]
    hidden: list[Rows]


@dataclass(frozen=True)
class Methods:
    """What is compared.

    Attributes:
        engines: by name.
        without_rules: engines that take the place of those of the same name in the run without the knowledge base.
        baselines: by name.
        fused_baselines: names of those that enter the baselines' own rank fusion.
        peers: libraries' models by name; none where the run leaves them out.
    """

    engines: Mapping[str, EngineFactory]
    without_rules: Mapping[str, EngineFactory]
    baselines: Mapping[str, Baseline]
    fused_baselines: Sequence[str]
    peers: Mapping[str, Peer] = field(default_factory=dict)


@dataclass(frozen=True)
class Questions:
    """What the report groups by: ``[q]`` labels of the groups, and subsets that are reported apart."""

    groups: npt.ArrayLike
    subsets: Mapping[str, Mask]


def split_ranks(split: Split, methods: Methods, seed: int = 0) -> Ranks:
    """Fit everything on the training precedents and rank the true receivers of every question."""
    fusion = fit_fusion(split.snapshot, methods.engines, seed)
    bare = fit_fusion(split.snapshot, methods.without_rules, seed, models=False) if methods.without_rules else None
    scores = all_scores(methods.baselines, methods.fused_baselines, split.snapshot.market, split.asked)
    ranks = {f"baselines/{name}": best_ranks(given, split.takers, split.hidden) for name, given in scores.items()}
    blocks = [
        _block_ranks(split, np.arange(start, min(start + _BLOCK, len(split.asked))), fusion, bare)
        for start in range(0, len(split.asked), _BLOCK)
    ]
    theirs = peer_scores(methods.peers, split.snapshot, split.asked.arrays, seed)
    peers = {f"peers/{name}": best_ranks(scores, split.takers, split.hidden) for name, (scores, _) in theirs.items()}
    return {**ranks, **joined(blocks), **peers}


def _block_ranks(split: Split, rows: Rows, fusion: FittedFusion, bare: FittedFusion | None) -> Ranks:
    market, offers = split.snapshot.market, split.asked.arrays.take(rows)
    fused = fusion.score(market, offers)
    own = fused.probabilities
    learned = next((model for model in fusion.models if model.model_id == LEARNED_MODEL), None)
    method = method_of(learned) if learned else fusion.fuses_by()
    given = {
        "fused": fused.final,
        FUSED_LEARNED: method.value(own),
        **{f"engines/{name}": scores for name, scores in own.items()},
    }
    for name in own if len(own) > 1 else ():
        others = {other: own[other] for other in own if other != name}
        given[f"without/{name}"], _ = weighted_sum(others, fusion.weights)
    if bare is not None:
        given[f"without/{RULES}"], _ = weighted_sum({**own, **bare.score(market, offers).probabilities}, fusion.weights)
    takers, hidden = [split.takers[row] for row in rows], [split.hidden[row] for row in rows]
    return {name: best_ranks(scores, takers, hidden) for name, scores in given.items()}


def joined(parts: Sequence[Ranks]) -> Ranks:
    """Ranks of several parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def result(protocol: str, ranks: Ranks, questions: Questions, headline: str, **more: Any) -> dict[str, Any]:
    """The object that ``--json`` prints.

    Args:
        protocol: its name.
        ranks: of every method.
        questions: groups and subsets.
        headline: the metric by which ``best_baseline`` is chosen; differences are to the best at their own metric.
        more: further top-level entries.
    """
    groups = np.asarray(questions.groups)
    everything = part(ranks, groups)
    baselines = _named(ranks, "baselines")
    fused = everything["fused"]
    return {
        "protocol": protocol,
        **{metric: fused[metric] for metric in METRICS},
        **everything,
        "best_baseline": max(baselines, key=lambda name: float(gains(baselines[name])[headline].mean())),
        "difference": compared(ranks["fused"], baselines, GAP_METRICS, GroupBootstrap(groups)),
        **{
            name: part({key: values[mask] for key, values in ranks.items()}, groups[mask])
            for name, mask in questions.subsets.items()
        },
        **more,
    }


def part(ranks: Ranks, groups: npt.NDArray[Any]) -> dict[str, Any]:
    """Every method on some of the questions, and under ``*_difference`` how far the fusion is above some of them."""
    if not len(groups):
        return {"n": 0, "groups": 0}
    bootstrap = GroupBootstrap(groups)
    without = {name: summary(values, bootstrap) for name, values in _named(ranks, "without").items()}
    rules = {f"without_{RULES}": without.pop(RULES)} if RULES in without else {}
    lost = _gaps(ranks, "without", bootstrap)
    if RULES in lost:
        rules[f"without_{RULES}_difference"] = lost.pop(RULES)
    return {
        "n": len(groups),
        "groups": bootstrap.groups,
        "reachable": float(np.isfinite(ranks["fused"]).mean()),
        "fused": summary(ranks["fused"], bootstrap),
        **{
            role: {name: summary(values, bootstrap) for name, values in _named(ranks, role).items()}
            for role in ("engines", "baselines", "peers")
        },
        **({FUSED_LEARNED: summary(ranks[FUSED_LEARNED], bootstrap)} if FUSED_LEARNED in ranks else {}),
        **rules,
        "without_engine": without,
        "without_engine_difference": lost,
        "peer_difference": _gaps(ranks, "peers", bootstrap),
    }


def _gaps(ranks: Ranks, role: str, bootstrap: GroupBootstrap) -> dict[str, dict[str, dict[str, float]]]:
    """Fused less each method of a role, by its name and by metric."""
    return {
        name: {metric: difference(ranks["fused"], theirs, metric, bootstrap) for metric in GAP_METRICS}
        for name, theirs in _named(ranks, role).items()
    }


def _named(ranks: Ranks, role: str) -> Ranks:
    return {name.partition("/")[2]: values for name, values in ranks.items() if name.startswith(f"{role}/")}
