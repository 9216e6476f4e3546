"""Secure aggregation (SecAgg+): the server learns the average of the sites' parameters and no site's own.

Flower 1.32 offers it for its older client interface only, so the site's step is wrapped in a `NumPyClient` here. It
excludes screening: what nobody sees, nobody can judge (docs/federated.md).
"""

import logging
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow

from ism.engines.federated.grid import LocalGrid
from ism.engines.federated.learning import site_update
from ism.engines.federated.model import Parameters, bins_of_market
from ism.engines.federated.plan import Plan
from ism.engines.federated.sites import by_donor, prepared, split
from ism.testing.sample import WordEncoder, sample

CASE = sample(WordEncoder(16))
BINS = bins_of_market(CASE.built.market)
SITES = [prepared(site.snapshot, BINS, private=False) for site in split(CASE.snapshot, by_donor(CASE.snapshot, 4))]
PLAN = Plan.of({"strategy": "fedavg"})


class SiteClient(NumPyClient):
    def __init__(self, number: int) -> None:
        self.examples = SITES[number]

    def fit(self, parameters, config):
        start = Parameters(*parameters)
        found = site_update(self.examples, start, PLAN, 0.0, np.random.default_rng(0))
        return [found.factors, found.pair], len(self.examples), {}


class RecordingGrid(LocalGrid):
    """Keeps what the server receives."""

    received: list[Message]
    run = SimpleNamespace(run_id=1)

    def send_and_receive(self, messages, *, timeout=None):
        apart = [deepcopy(message) for message in messages]  # the older interface changes what it is given
        replies = list(super().send_and_receive(apart, timeout=timeout))
        self.received = [*getattr(self, "received", []), *replies]
        return replies


class Kept(FedAvg):
    aggregate = None

    def aggregate_fit(self, server_round, results, failures):
        self.aggregate = super().aggregate_fit(server_round, results, failures)
        return self.aggregate


def test_the_server_learns_the_average_and_nothing_else():
    logging.getLogger("flwr").setLevel(logging.ERROR)
    start = Parameters.initial(BINS)
    app = ClientApp(client_fn=lambda context: SiteClient(context.node_id - 1).to_client(), mods=[secaggplus_mod])
    sites = {n: (app, Context(1, n, {}, RecordDict(), {})) for n in range(1, len(SITES) + 1)}
    grid = RecordingGrid(sites, at_once=True)
    strategy = Kept(
        initial_parameters=ndarrays_to_parameters([start.factors, start.pair]),
        fraction_evaluate=0.0,
        min_fit_clients=len(SITES),
        min_available_clients=len(SITES),
    )
    context = LegacyContext(Context(1, 0, {}, RecordDict(), {}), ServerConfig(num_rounds=1), strategy)
    DefaultWorkflow(fit_workflow=SecAggPlusWorkflow(3, 2, max_weight=32.0, timeout=30.0))(grid, context)

    found = Parameters(*parameters_to_ndarrays(strategy.aggregate[0]))
    own = [site_update(site, start, PLAN, 0.0, np.random.default_rng(0)) for site in SITES]
    weights = np.asarray([len(site) for site in SITES], dtype=np.float64) / sum(map(len, SITES))
    expected = sum(weight * each.factors for weight, each in zip(weights, own, strict=True))
    assert np.abs(found.factors - expected).max() < 1e-4
    assert np.abs(found.factors).max() > 0.1

    received = [
        value
        for reply in grid.received
        for record in reply.content.config_records.values()
        for value in record.values()
    ]
    seen = b"".join(
        part
        for value in received
        for part in (value if isinstance(value, list) else [value])
        if isinstance(part, bytes)
    )
    assert len(seen) > 4 * 4 * start.size  # the masked vectors came
    for each in own:
        assert each.factors.tobytes()[:4096] not in seen
