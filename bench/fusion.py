"""Rank fusion on TREC-7, its speed beside `ranx`, adaptive weights, and prediction sets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.fusion_adaptive import adaptive
from bench.fusion_oracle import Oracle
from bench.fusion_sets import coverage
from bench.setup import Options
from ism.data.public import trec7
from ism.fusion import lists
from ism.fusion.adaptive import Adaptive
from ism.fusion.boosted_trees import BoostedTrees
from ism.fusion.ensemble import Ensemble
from ism.fusion.learn import Pairs, learn_boosted_trees, learn_stacking
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.lists import RankedLists
from ism.fusion.lists.comb import weighted
from ism.fusion.method import FusionMethod
from ism.fusion.nonnegative import fit_logistic
from ism.fusion.reciprocal_rank import ReciprocalRank
from ism.fusion.stacking import Stacking
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS
from ism.retraining.bootstrap import GroupBootstrap

Values = npt.NDArray[np.float64]

TITLE = "D. Fusion: rank fusion on TREC-7, speed, adaptive weights, prediction sets"
NEEDS_DATA = True
NOTES = """\
**TREC-7.** 20 retrieval runs on the topics that have judgements; five folds by topic. The learnt weights (non-negative
logistic regression on min-max scores, shrunk towards equal weights, learnt on the training topics of each fold) are
used on the topics of the fold. MAP is the mean average precision over topics; the intervals are 95 % bootstrap
intervals over topics. The best single run is the best on these very topics, which favours it.

**Against `ranx`.** Every method that both have, with the same runs, equal scores in the order that `ranx` sorts them
into; *largest difference* is over all scores of all topics (of the timed ones where `ranx` takes more than a second for
a topic). *Times* are per topic, fused and sorted, both libraries warm, in one process, taking turns, median over ten
topics: from each library's own form of the runs. *From dicts* also counts turning the runs into that form.

**Pairs.** Four engines' probabilities of a million pairs are drawn at random (*simulated*); the time is for scores and
exact attributions, on one core.

**Adaptive weights.** *Simulated*: four engines, the best of which breaks midway: it then says what it would have said
of another recommendation (*unrelated*), or the opposite of what it would have said (*opposite*). An outcome is one
matured recommendation. The best sequence is the best engine before and the best one after the break.

**Prediction sets.** Coverage of split conformal sets: *simulated*, and on MAESTRI with whole source groups left out.
"""
FOLDS = 5
_PAIRS = 1_000_000
_SHRINK = 1.0
_MASS = 20.0  # of each topic's relevant documents together, in the regression


def run(options: Options) -> dict[str, Any]:
    """All parts."""
    started = time.perf_counter()
    topics = trec7.topics(options.folder())
    names = sorted(topics)[:: 5 if options.fast else 1]
    ranked = {name: lists.ranked_lists(topics[name].runs) for name in names}
    found = {
        "protocol": "fusion",
        "trec7": quality(topics, ranked),
        "ranx": oracle(topics, ranked),
        "pairs": pair_speed(_PAIRS // (100 if options.fast else 1)),
        "adaptive": adaptive(seeds=2 if options.fast else 20),
        "coverage": coverage(options),
    }
    return {**found, "seconds": time.perf_counter() - started}


# --- quality --------------------------------------------------------------------------------------


def average_precision(order: npt.NDArray[np.intp], relevant: npt.NDArray[np.bool_], total: int) -> float:
    """Mean, over the ``total`` relevant items, of the precision at each of them; 0 for those not listed."""
    hits = relevant[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / total) if total else 0.0


def quality(topics: Mapping[str, trec7.Topic], ranked: Mapping[str, RankedLists]) -> dict[str, Any]:
    """MAP of single runs, unsupervised fusions, and weights learnt by topic folds."""
    names = list(ranked)
    truth = {
        name: np.asarray([item in topics[name].relevant for item in ranked[name].items], dtype=np.bool_)
        for name in names
    }

    def scored(fused: Mapping[str, Values]) -> Values:
        return np.asarray(
            [
                average_precision(lists.ranking(ranked[name], fused[name]), truth[name], len(topics[name].relevant))
                for name in names
            ]
        )

    single = [
        np.asarray(
            [average_precision(_listed(ranked[name], run), truth[name], len(topics[name].relevant)) for name in names]
        )
        for run in range(len(topics[names[0]].runs))
    ]
    best = max(single, key=lambda values: float(values.mean()))
    normal = {name: lists.NORMALISATIONS["min-max"](ranked[name]) for name in names}
    plain = {}
    for method, kernel in lists.METHODS.items():
        plain[method] = scored({name: kernel(normal[name]) for name in names})
    weights = learnt_weights(normal, truth)
    learned = scored({name: weighted(normal[name], weights[name]) for name in names})
    bootstrap = GroupBootstrap(names)
    rows = {"learned": learned, "best single run": best, **plain}
    return {
        "topics": len(names),
        "runs": len(single),
        "map": {
            name: {"mean": float(values.mean()), "interval": bootstrap.interval(values)}
            for name, values in rows.items()
        },
        "difference": {
            name: {"mean": float((learned - values).mean()), "interval": bootstrap.interval(learned - values)}
            for name, values in (("best single run", best), ("rrf", plain["rrf"]))
        },
    }


def learnt_weights(
    normal: Mapping[str, RankedLists], truth: Mapping[str, npt.NDArray[np.bool_]], seed: int = 0
) -> dict[str, Values]:
    """Weights of the runs for each topic, from the topics of the other folds."""
    names = list(normal)
    fold = np.random.default_rng(seed).permutation(len(names)) % min(FOLDS, len(names))
    out: dict[str, Values] = {}
    for left_out in np.unique(fold):
        seen = [name for name, number in zip(names, fold, strict=True) if number != left_out]
        columns = np.concatenate([_dense(normal[name]) for name in seen])
        taken = np.concatenate([truth[name] for name in seen]).astype(np.float64)
        mass = np.concatenate([np.full(len(truth[name]), _MASS / max(1, truth[name].sum())) for name in seen])
        even, _ = fit_logistic(columns.mean(axis=1, keepdims=True), taken, mass)
        prior = np.full(columns.shape[1], even[0] / columns.shape[1])
        slopes, _ = fit_logistic(columns, taken, mass, shrink=_SHRINK, prior=prior)
        out |= {name: slopes for name, number in zip(names, fold, strict=True) if number == left_out}
    return out


def _dense(ranked: RankedLists) -> Values:
    """``[n, k]`` score of each item in each list, 0 where it is not listed."""
    out = np.zeros((len(ranked.items), len(ranked.sizes)))
    out[ranked.item, np.repeat(np.arange(len(ranked.sizes)), ranked.sizes)] = ranked.score
    return out


def _listed(ranked: RankedLists, run: int) -> npt.NDArray[np.intp]:
    """Places of one list's items, best first."""
    return ranked.item[ranked.starts[run] : ranked.starts[run] + ranked.sizes[run]]


# --- against ranx ---------------------------------------------------------------------------------


def oracle(topics: Mapping[str, trec7.Topic], ranked: Mapping[str, RankedLists]) -> dict[str, Any]:
    """Differences to `ranx` and times of both."""
    peer = Oracle(topics, list(ranked))
    return {"methods": peer.compare(ranked), "normalisations": peer.compare_normalisations()}


# --- pairs ----------------------------------------------------------------------------------------


def pair_speed(count: int) -> dict[str, float]:
    """Million pairs a second of each method, scores with attributions."""
    rng = np.random.default_rng(0)
    said = {name: rng.random(count, dtype=np.float32) for name in DEFAULT_WEIGHTS}
    return {method.name: count / 1e6 / _best_of(3, method, said) for method in _methods(rng)}


def _methods(rng: np.random.Generator) -> list[FusionMethod]:
    names, size = list(DEFAULT_WEIGHTS), 4000
    said = rng.uniform(0.01, 0.99, (size, len(names)))
    number = np.repeat(np.arange(size // 20), 20)
    pairs = Pairs(said, names, rng.random(size) < said.mean(axis=1), number, number % 3)
    stacking: Stacking = learn_stacking(pairs)
    trees: BoostedTrees = learn_boosted_trees(pairs, stacking)
    pool = WeightedSum(DEFAULT_WEIGHTS)
    ensemble = Ensemble([pool, stacking], {pool.name: 0.5, stacking.name: 0.5})
    return [pool, Adaptive(DEFAULT_WEIGHTS), ReciprocalRank(DEFAULT_WEIGHTS), stacking, ensemble, trees]


def _best_of(times: int, method: FusionMethod, said: Mapping[str, npt.NDArray[np.float32]]) -> float:
    """Seconds of the quickest of a few calls, in blocks that stay in the processor's cache."""
    block, count = 50_000, len(next(iter(said.values())))
    parts = [{name: values[start : start + block] for name, values in said.items()} for start in range(0, count, block)]
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        for part in parts:
            method.fuse(part)
        taken.append(time.perf_counter() - started)
    return min(taken)


# --- report ---------------------------------------------------------------------------------------


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    trec, peer = found["trec7"], found["ranx"]
    lines = [f"## {TITLE}", "", NOTES, about, "", f"{trec['topics']} topics, {trec['runs']} runs.", ""]
    lines += ["| fusion | MAP |", "|---|---|"]
    lines += [
        f"| {name} | {row['mean']:.4f} <sub>{row['interval'][0]:.4f}–{row['interval'][1]:.4f}</sub> |"
        for name, row in sorted(trec["map"].items(), key=lambda item: -item[1]["mean"])
    ]
    lines.append("")
    for name, row in trec["difference"].items():
        low, high = row["interval"]
        lines.append(f"Learned less {name}: {row['mean']:+.4f} (95 % interval {low:+.4f} to {high:+.4f}).  ")
    lines += ["", "| method | largest difference to `ranx` | ours, ms | `ranx`, ms | ratio | ratio from dicts |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {row['difference']:.1e} | {row['ours_ms']:.3f} | {row['ranx_ms']:.2f} | {row['ratio']:.0f} "
        f"| {row['ratio_from_dicts']:.0f} |"
        for name, row in peer["methods"].items()
    ]
    different = max(peer["normalisations"].values())
    lines += ["", f"Normalisations ({', '.join(peer['normalisations'])}): largest difference {different:.1e}.", ""]
    lines += ["| pairs of four engines | million pairs a second, one core |", "|---|---|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in found["pairs"].items()]
    lines += ["", *_adaptive_lines(found["adaptive"]), "", *_coverage_lines(found["coverage"])]
    return "\n".join(lines)


def _adaptive_lines(found: Mapping[str, Any]) -> list[str]:
    head = "| rule | outcomes until the broken engine is below 10 %, median (largest) | loss over the best sequence's |"
    rows = [
        f"| {name} | {row['outcomes_median']:.0f} ({row['outcomes_largest']:.0f}) | {row['loss_ratio'] - 1:+.1%} |"
        for name, row in found["rules"].items()
    ]
    bound = (
        f"Regret of fixed share {found['regret']:.1f} nats (largest of {found['seeds']} seeds), guaranteed at most "
        f"{found['bound']:.1f}."
    )
    return [head, "|---|---|---|", *rows, "", bound]


def _coverage_lines(found: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {name} | {row['level']:.0%} | {row['coverage']:.1%} | {row['size']:.0f} |"
        for name, part in found.items()
        for row in part
    ]
    return ["| prediction sets | asked | covered | median size |", "|---|---|---|---|", *rows]
