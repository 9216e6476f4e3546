"""The Flower ClientApp of a site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from ism.domain.errors import EngineError, InvalidInputError
from ism.engines.federated.learning import site_update
from ism.engines.federated.model import Examples, Parameters
from ism.engines.federated.plan import Plan
from ism.engines.federated.privacy import noise_for

ARRAYS, CONFIG, METRICS, ABOUT = "arrays", "config", "metrics", "about"
EXAMPLES, SITE, BINS, SHRINKAGE, ROUND = "num-examples", "site", "bins", "shrinkage", "server-round"


@dataclass(frozen=True)
class Participant:
    """A site as its app needs it.

    Attributes:
        name: how the site is called in reports.
        examples: a function of the plan, so that they can be prepared as it needs (`sites.prepared`).
        bins: digest of the bins that the examples were prepared for.
        noise: source of noise for a round; must not be predictable on a real site.
        most_epsilon: plans that would spend more of a record's privacy are refused; None takes part in any.
    """

    name: str
    examples: Callable[[Plan], Examples]
    bins: str
    noise: Callable[[int], np.random.Generator]
    most_epsilon: float | None = None


def client_app(participant: Callable[[Context], Participant]) -> ClientApp:
    """An app that trains on one site's exchanges and answers with parameters and a count, nothing else."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        config, site = message.content.config_records[CONFIG], participant(context)
        plan, number = _agreed(config, site), int(cast("int", config[ROUND]))
        examples = site.examples(plan)
        start = parameters_of(message.content.array_records[ARRAYS])
        found = site_update(examples, start, plan, float(cast("float", config[SHRINKAGE])), site.noise(number))
        return Message(reply_content(site.name, found, len(examples)), reply_to=message)

    return app


def reply_content(site: str, parameters: Parameters, examples: int) -> RecordDict:
    """All that leaves a site in a round: its name, its parameters, its number of examples."""
    return RecordDict(
        {
            ARRAYS: array_record(parameters),
            METRICS: MetricRecord({EXAMPLES: examples}),
            ABOUT: ConfigRecord({SITE: site}),
        }
    )


def array_record(parameters: Parameters) -> ArrayRecord:
    """Parameters as Flower sends them."""
    return ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in parameters.arrays().items()})


def parameters_of(record: ArrayRecord) -> Parameters:
    """The reverse of `array_record`."""
    return Parameters.of({name: array.numpy() for name, array in record.items()})


def _agreed(config: Mapping[str, Any], site: Participant) -> Plan:
    """The plan, where the site can follow it.

    Raises:
        EngineError: it is about another market profile.
        InvalidInputError: it would spend more privacy than the site allows.
    """
    plan = Plan.from_config(config)
    if config[BINS] != site.bins:
        raise EngineError(f"{site.name} knows another market profile than the server. Give both the same profile file.")
    if site.most_epsilon is not None:
        least = noise_for(site.most_epsilon, plan.delta, plan.rounds * plan.local_steps)
        if plan.noise < 0.999 * least or int(config[ROUND]) > plan.rounds:
            raise InvalidInputError(
                "max-epsilon",
                site.most_epsilon,
                f"The plan's noise is {plan.noise:.3g}; the site asks for {least:.3g}.",
            )
    return plan
