"""A federation in one process: sites of one snapshot, the real apps, no network."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")  # read when Flower is imported
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

from flwr.app import Context, RecordDict

from ism.engines.federated.client import Participant, client_app
from ism.engines.federated.grid import LocalGrid
from ism.engines.federated.model import Bins, Examples
from ism.engines.federated.plan import Plan
from ism.engines.federated.server import Trained, server_app
from ism.engines.federated.sites import Site, prepared
from ism.engines.rules import RuleBook


def train_in_process(
    sites: Sequence[Site], bins: Bins, plan: Plan, seed: int = 0, rules: RuleBook | None = None
) -> Trained:
    """Train over sites of this process.

    The noise follows from the seed, so that a result can be repeated: it measures what noise costs, and protects
    nobody from whoever knows the seed. Real sites draw theirs from the operating system.

    Raises:
        EngineError: there are fewer sites than the plan needs.
    """
    return run_apps([participant(site, bins, number, seed, rules) for number, site in enumerate(sites)], bins, plan)


def run_apps(participants: Sequence[Participant], bins: Bins, plan: Plan) -> Trained:
    """Run the server's app against these sites' apps."""
    logging.getLogger("flwr").setLevel(logging.ERROR)  # it tells every step at INFO
    app = client_app(lambda context: participants[context.node_id - 1])
    nodes = {number: (app, Context(1, number, {}, RecordDict(), {})) for number in range(1, len(participants) + 1)}
    found: list[Trained] = []
    server = server_app(lambda _: bins, lambda _: plan, lambda trained, _: found.append(trained))
    server(LocalGrid(nodes, at_once=False), Context(1, 0, {}, RecordDict(), {}))
    return found[0]


def participant(site: Site, bins: Bins, number: int, seed: int, rules: RuleBook | None = None) -> Participant:
    """A site of this process."""

    @lru_cache(maxsize=2)
    def examples(private: bool) -> Examples:
        return prepared(site.snapshot, bins, private=private, seed=seed, rules=rules)

    return Participant(
        site.name,
        lambda plan: examples(plan.noise > 0),
        bins.digest,
        partial(_noise, seed, number),
    )


def _noise(seed: int, site: int, number: int) -> np.random.Generator:
    return np.random.default_rng((seed, site, number))
