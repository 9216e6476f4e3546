"""What the graph network costs to train: time and memory against the size of the graph."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.latency import Size, peak_mib, simulated
from bench.setup import REPOSITORY, Options, text_encoder
from ism.data.graph import market_graph
from ism.engines.base import Snapshot
from ism.engines.gnn import GnnEngine

TITLE = "The graph network: training against the size of the graph"
NEEDS_DATA = False
NOTES = """\
The markets are *simulated*, as in the latency run. Each size is trained once, on the CPU, in a fresh process; training
runs on one thread. *Edges* are those of the whole graph (precedents with materials, codes, sectors, places and
receivers; receivers with sectors and places). *Time* is `GnnEngine.fit` with its defaults, early stopping included,
without the time to import torch; *peak* is the most memory that the process ever held, market and libraries included.
"""
CHART = REPOSITORY / "docs" / "graph-training.svg"
MOST_MINUTES = 5.0
_EDGES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_FAST_EDGES = (3_000, 6_000)
_EDGES_A_PRECEDENT = 12.5  # of a simulated market with half as many companies as precedents, its homes included
_SECONDS = 3600.0  # that one size may take


@dataclass(frozen=True)
class Trained:
    """Cost of one training."""

    edges: int
    precedents: int
    receivers: int
    epochs: int
    seconds: float
    peak_mib: float


def run(options: Options) -> dict[str, Any]:
    """Train at every size."""
    started = time.perf_counter()
    sizes = [_apart("trained", edges) for edges in (_FAST_EDGES if options.fast else _EDGES)]
    found = {
        "protocol": "graph",
        "simulated": True,
        "training": sizes,
        "limits": {"minutes_100k_edges": MOST_MINUTES},
        "seconds": time.perf_counter() - started,
    }
    if not options.fast:
        draw(found, CHART)
    return found


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    rows = [
        f"| {size['edges']:,} | {size['precedents']:,} | {size['receivers']:,} | {size['epochs']} | "
        f"{size['seconds']:.1f} | {size['peak_mib']:.0f} |"
        for size in found["training"]
    ]
    return "\n".join(
        [
            f"## {TITLE}",
            "",
            NOTES,
            about,
            "",
            "| edges | precedents | receivers | best epoch | time, s | peak, MiB |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            *([] if found.get("fast") else [f"![Training time and peak memory]({CHART.name})", ""]),
            "What the trained network adds to an offer is part of the latency run.",
        ]
    )


def trained(edges: int) -> dict[str, Any]:
    """Train on a simulated market of about as many edges, in this process."""
    precedents = int(edges / _EDGES_A_PRECEDENT)
    market = simulated(Size(precedents // 2, precedents, 0), text_encoder(), seed=0)
    import ism.engines.gnn.network  # noqa: F401, PLC0415 - torch is imported before the clock starts

    engine, started = GnnEngine("cpu"), time.perf_counter()
    engine.fit(Snapshot(market.market, market.groups))
    return Trained(
        market_graph(market.market).edges,
        len(market.market.precedents),
        len(market.market.receivers),
        int(engine.training["epochs"]),
        time.perf_counter() - started,
        peak_mib(),
    ).__dict__


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Time and memory against edges, both axes logarithmic."""
    import matplotlib as mpl  # noqa: PLC0415 - a development dependency, needed here only

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    mpl.rcParams["svg.hashsalt"] = "ism"  # so that the same figures give the same file
    edges = [size["edges"] for size in found["training"]]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    panels = (("seconds", "training time, s"), ("peak_mib", "peak memory, MiB"))
    for axis, (name, label) in zip(axes, panels, strict=True):
        axis.loglog(edges, [size[name] for size in found["training"]], "o-", color="#1f6f54")
        axis.set(xlabel="edges of the graph", ylabel=label)
        axis.grid(True, which="both", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(MOST_MINUTES * 60, color="#b04a2f", linewidth=1, linestyle="--")
    axes[0].annotate(
        "limit at 100,000 edges", (edges[0], MOST_MINUTES * 60), (0, 4), textcoords="offset points", fontsize=8
    )
    axes[1].set_ylim(bottom=min(size["peak_mib"] for size in found["training"]) / 2)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _apart(name: str, size: int) -> dict[str, Any]:
    """What a function of this module finds, in a fresh process."""
    program = f"import json; from bench import graph; print(json.dumps(graph.{name}({size})))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=REPOSITORY
    )
    if done.returncode:
        raise OSError(f"{name} at {size} failed: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
