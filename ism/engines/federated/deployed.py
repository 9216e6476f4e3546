"""The apps of a federation over a network, as SuperLink and SuperNodes run them (docs/federated.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from ism.domain.errors import InvalidInputError
from ism.engines.federated.client import Participant, client_app
from ism.engines.federated.engine import FederatedEngine
from ism.engines.federated.files import load_profile, load_rules, load_site
from ism.engines.federated.model import Bins, Examples, bins_of_market
from ism.engines.federated.plan import Plan
from ism.engines.federated.server import Trained, server_app
from ism.engines.federated.sites import prepared

_NOT_PLAN = {"profile", "output"}


def site_app() -> ClientApp:
    """The app of a site.

    Node settings (``flower-supernode --node-config``): ``site`` and ``profile``, paths of the two files, and
    ``max-epsilon``, above which the site takes no part (any plan will do where it is not set).
    """
    return client_app(_participant)


def _participant(context: Context) -> Participant:
    settings = context.node_config
    profile, rules = load_profile(_path(context, "profile")), load_rules(_path(context, "profile"))
    site, bins = load_site(_path(context, "site"), profile), bins_of_market(profile)

    def examples(plan: Plan) -> Examples:
        return prepared(site.snapshot, bins, private=plan.noise > 0, rules=rules)

    most = settings.get("max-epsilon")
    return Participant(
        site.name,
        examples,
        bins.digest,
        lambda _: np.random.default_rng(),  # from the operating system: nobody can take the noise off again
        None if most is None else float(most),
    )


def _path(context: Context, name: str) -> Path:
    value = context.node_config.get(name)
    if not isinstance(value, str):
        raise InvalidInputError(
            f"node-config {name}", value, f"Start the SuperNode with --node-config '{name}=\"...\"'."
        )
    return Path(value)


def coordinator_app() -> ServerApp:
    """The app of the server: trains, and saves the engine.

    Run settings (``flwr run --run-config``): ``profile`` and ``output``, paths at the server, and every name of
    `plan.SPACE` with hyphens.
    """
    return server_app(_bins, _plan, _save)


def _bins(context: Context) -> Bins:
    return bins_of_market(load_profile(Path(str(context.run_config["profile"]))))


def _plan(context: Context) -> Plan:
    settings = context.run_config.items()
    return Plan.of({name.replace("-", "_"): value for name, value in settings if name not in _NOT_PLAN})


def _save(trained: Trained, context: Context) -> None:
    rules = load_rules(Path(str(context.run_config["profile"])))
    FederatedEngine.of(trained, rules).save(Path(str(context.run_config["output"])))
