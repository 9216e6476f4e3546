"""Protocol B across sites: sender states that share no transfer, against the same model trained in one place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from bench import transfers
from bench.metrics import difference, gains, summary
from bench.setup import Options, text_encoder
from bench.tri import held_out_senders, shipments
from ism.data.market import Ints
from ism.data.public import tri
from ism.data.text import TextEncoder
from ism.domain.errors import EngineError
from ism.engines.base import ParamValue
from ism.engines.federated import FederatedEngine
from ism.engines.federated.client import Participant
from ism.engines.federated.model import Examples, bins_of_market
from ism.engines.federated.plan import Plan
from ism.engines.federated.server import Trained
from ism.engines.federated.sites import split
from ism.engines.federated.training import participant, run_apps
from ism.engines.metrics import Values, best_ranks
from ism.retraining.bootstrap import GroupBootstrap

TITLE = "B across sites: federated against central"
NEEDS_DATA = True
NOTES = """\
The questions, candidates and split are those of protocol B. A site is a sender's state; a site's transfers stay with
it, and the parameters of the choice model (`ism/engines/federated`) are all that travels. *Central* is the very same
model trained in one place on all transfers at once, without clipping to speak of, once for as many rounds and once for
three times as many. *Kept* is a run's MRR over that of the better of the two; intervals are paired over draws of
senders.

All runs go through the Flower apps that real sites run, in one process. *Bytes* are the parameters
that were sent to and from all sites over all rounds. Epsilon is for one exchange record (an offer of one sender with
everybody who took it), against the server and the other sites: every state adds the whole noise itself.

*Poisoned*: a fifth of the states, drawn by chance, have their receivers exchanged by one permutation, the same for all
of them. *Averaged* takes every update as it comes; *screened* is the default (`ism/engines/federated/screening.py`).
"""
_BLOCK = 256  # questions scored at a time
_FAST_SENDERS = 400
_POISONED_SHARE = 5  # one site in five
_CENTRAL: dict[str, dict[str, ParamValue]] = {
    "central, 20 rounds": {"clip": 10.0},
    "central, 60 rounds": {"clip": 10.0, "rounds": 60},
}
_RUNS: dict[str, dict[str, ParamValue]] = {
    "federated": {},
    "federated, epsilon 8": {"epsilon": 8.0},
    "federated, epsilon 2": {"epsilon": 2.0},
    "federated with FedAvg, 5 local steps": {"strategy": "fedavg", "local_steps": 5},
    "federated with FedProx, 5 local steps": {"strategy": "fedprox", "local_steps": 5},
}
_POISONED: dict[str, dict[str, ParamValue]] = {
    "poisoned, averaged": {"aggregation": "mean"},
    "poisoned, screened": {},
}


def run(options: Options) -> dict[str, Any]:
    """The whole comparison."""
    started = time.perf_counter()
    raw = tri.transfers(options.folder())
    frame, states = shipments(raw), dict(zip(raw["sender"], raw["sender_state"], strict=True))
    if options.fast:
        senders = sorted(frame["donor"].unique())[:_FAST_SENDERS]
        frame = frame.filter(pl.col("donor").is_in(senders))
    return evaluated(frame, states, text_encoder(), started)


def evaluated(frame: pl.DataFrame, states: Mapping[str, str], encoder: TextEncoder, started: float) -> dict[str, Any]:
    """The comparison on shipments (`bench.tri.shipments`) whose donors have these states."""
    held_out = held_out_senders(frame["donor"].unique().to_list())
    known = frame.filter(~pl.col("donor").is_in(held_out))
    trained = transfers.training(known, encoder)
    chosen = transfers.questions(frame.filter(pl.col("donor").is_in(held_out)))
    takers = [transfers.candidate_rows(trained.row_of, names) for names in chosen["receivers"]]
    asked, snapshot = transfers.asked(chosen, encoder).arrays, trained.snapshot
    bins = bins_of_market(snapshot.market)
    names, site_of = sites_of(known, states, snapshot.groups)
    sites = split(snapshot, site_of, dict(enumerate(names)))
    poisoned = drawn(names)

    honest = [participant(site, bins, number, 0) for number, site in enumerate(sites)]
    whole = pooled([member.examples(Plan.of({})) for member in honest])
    everything = replace(honest[0], name="everything", examples=lambda _: whole)

    def learned(given: dict[str, ParamValue], members: list[Participant]) -> tuple[Trained, Values]:
        found = run_apps(members, bins, Plan.of({**given, "deadline": 600.0}))
        if any(each.kept for each in found.rounds):
            raise EngineError(f"A round learned nothing: {found.rounds[0]}.")
        engine = FederatedEngine.of(found)
        blocks = [np.arange(start, min(start + _BLOCK, len(asked))) for start in range(0, len(asked), _BLOCK)]
        scores = np.concatenate([engine.score(snapshot.market, asked.take(rows)) for rows in blocks])
        return found, best_ranks(scores, takers, takers)

    groups = chosen["donor"].to_numpy()
    bootstrap = GroupBootstrap(groups)
    twins = {name: learned(given, [everything])[1] for name, given in _CENTRAL.items()}
    central = max(twins.values(), key=lambda ranks: float(gains(ranks)["mrr"].mean()))
    runs = [(name, given, set[str]()) for name, given in _RUNS.items()]
    runs += [(name, given, poisoned) for name, given in _POISONED.items()]
    compared = {}
    for name, given, bad in tqdm(runs, desc="federated: runs", unit="run"):
        found, ranks = learned(given, [flipped(each) if each.name in bad else each for each in honest])
        compared[name] = {**_figures(ranks, central, bootstrap), **_told(found, bad)}
    return {
        "protocol": "federated",
        "n": len(groups),
        "groups": bootstrap.groups,
        "candidates": len(trained.row_of),
        "sites": len(sites),
        "poisoned": sorted(poisoned),
        "central": {name: summary(ranks, bootstrap) for name, ranks in twins.items()},
        "runs": compared,
        "seconds": time.perf_counter() - started,
    }


def sites_of(known: pl.DataFrame, states: Mapping[str, str], groups: Ints) -> tuple[list[str], Ints]:
    """Names of the sites, and ``[p]`` the site of each precedent; groups number the donors in ascending order."""
    donors = sorted(known["donor"].unique())
    home = [states.get(donor) or "unknown" for donor in donors]
    names = sorted(set(home))
    number = {name: place for place, name in enumerate(names)}
    return names, np.asarray([number[home[group]] for group in groups], dtype=np.int32)


def drawn(names: list[str], seed: int = 5) -> set[str]:
    """A fifth of the sites, by chance."""
    rows = np.random.default_rng(seed).permutation(len(names))[: len(names) // _POISONED_SHARE]
    return {names[row] for row in rows}


def pooled(parts: list[Examples]) -> Examples:
    """The examples of all sites in one; their receivers are the same where no site had to sample."""
    used = np.unique(np.concatenate([part.used for part in parts]))
    pairs = [np.zeros((*part.share.shape, len(used)), dtype=np.float32) for part in parts]
    for part, whole in zip(parts, pairs, strict=True):
        whole[:, :, np.searchsorted(used, part.used)] = part.pairs
    return replace(
        parts[0],
        offers=np.concatenate([part.offers for part in parts]),
        pairs=np.concatenate(pairs),
        used=used,
        share=np.concatenate([part.share for part in parts]),
    )


def flipped(member: Participant) -> Participant:
    """A site whose receivers are exchanged by a permutation that depends on nothing but their number."""

    def examples(plan: Plan) -> Examples:
        own = member.examples(plan)
        return replace(own, share=own.share[:, np.random.default_rng(1).permutation(own.share.shape[1])])

    return replace(member, examples=examples)


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    head = "| training | R@10 | MRR | kept | epsilon | rounds | bytes, MB | left out |"
    rows = [
        f"| {name} | {_cell(c, 'recall@10')} | {_cell(c, 'mrr')} | | | | | |" for name, c in found["central"].items()
    ]
    rows += [_row(name, run) for name, run in found["runs"].items()]
    counted = f"{found['n']} questions in {found['groups']} groups; {found['candidates']} candidates"
    bad = f"Poisoned are {len(found['poisoned'])} of the {found['sites']} sites: {', '.join(found['poisoned'])}."
    gaps = [
        f"{name} less central, MRR: {run['difference']['mean']:+.3f} (95 % interval {run['difference']['low']:+.3f} to "
        f"{run['difference']['high']:+.3f}).  "
        for name, run in found["runs"].items()
    ]
    table = [head, "|---" * head.count(" | ") + "|---|", *rows]
    lines = [f"## {TITLE}", "", NOTES, about, "", f"{counted}; {found['sites']} sites.", "", *table, "", bad, "", *gaps]
    return "\n".join(lines)


def _figures(ranks: Values, central: Values, bootstrap: GroupBootstrap) -> dict[str, Any]:
    ours, theirs = gains(ranks)["mrr"], gains(central)["mrr"]
    low, high = np.percentile(bootstrap.means(ours) / bootstrap.means(theirs), (2.5, 97.5))
    kept = {"mean": float(ours.mean() / theirs.mean()), "low": float(low), "high": float(high)}
    return {**summary(ranks, bootstrap), "kept": kept, "difference": difference(ranks, central, "mrr", bootstrap)}


def _told(found: Trained, bad: set[str]) -> dict[str, Any]:
    out = {name for each in found.rounds for name in each.left_out}
    return {
        "epsilon": found.ledger.epsilon,
        "delta": found.ledger.delta,
        "noise": found.ledger.noise,
        "rounds": len(found.rounds),
        "bytes": sum(each.bytes_down + each.bytes_up for each in found.rounds),
        "left_out": sorted(out),
        "poisoned_found": len(out & bad),
        "honest_left_out": len(out - bad),
        "poisoned": len(bad),
    }


def _row(name: str, run: Mapping[str, Any]) -> str:
    epsilon = "none" if run["epsilon"] is None else f"{run['epsilon']:.2f}"
    kept = f"{run['kept']['mean']:.1%} <sub>{run['kept']['low']:.1%}–{run['kept']['high']:.1%}</sub>"
    out = f"{run['poisoned_found']} of {run['poisoned']} poisoned, {run['honest_left_out']} honest"
    figures = f"{_cell(run, 'recall@10')} | {_cell(run, 'mrr')} | {kept} | {epsilon} | {run['rounds']}"
    return f"| {name} | {figures} | {run['bytes'] / 1e6:.0f} | {out} |"


def _cell(run: Mapping[str, Any], metric: str) -> str:
    low, high = run["intervals"][metric]
    return f"{run[metric]:.3f} <sub>{low:.3f}–{high:.3f}</sub>".replace("0.", ".")
