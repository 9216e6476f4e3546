"""How a federation trains: everything that server and sites must agree on, with bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ism.engines.base import Param, ParamValue
from ism.engines.federated.privacy import noise_for
from ism.engines.params import resolve

STRATEGIES = ("fedadam", "fedavg", "fedprox")
SPACE = {
    "strategy": Param("fedadam", choices=STRATEGIES),
    "rounds": Param(20, 1, 200, unit="rounds"),
    "local_steps": Param(1, 1, 20, unit="gradient steps of a site a round"),
    "server_rate": Param(0.3, 0.01, 1.0, log=True, unit="step of FedAdam"),
    "site_rate": Param(10.0, 0.1, 50.0, log=True, unit="step of a site with FedAvg or FedProx"),
    "proximal": Param(0.01, 0.0, 1.0, unit="pull of FedProx to the global parameters"),
    "l2": Param(1.0, 0.01, 100.0, log=True, unit="log-likelihood"),
    "clip": Param(1.0, 0.1, 10.0, log=True, unit="length of one record's gradient"),
    "epsilon": Param(0.0, 0.0, 50.0, unit="privacy loss; 0 adds no noise"),
    "delta": Param(1e-5, 1e-12, 1e-2, log=True, unit="probability"),
    "aggregation": Param("screened", choices=("screened", "mean")),
    "least_sites": Param(1, 1, 1000, unit="sites whose updates a round needs"),
    "deadline": Param(120.0, 1.0, 3600.0, unit="s a round"),
}
_PAIR_RATE = 0.1  # pairs' weights step this much less than factors in a site's own steps: their gradients are larger


@dataclass(frozen=True, slots=True)
class Plan:
    """Values for the names of `SPACE`, with the noise that follows from them.

    Attributes:
        noise: standard deviation of the noise on a site's summed gradient, in units of ``clip``.
    """

    strategy: str
    rounds: int
    local_steps: int
    server_rate: float
    site_rate: float
    proximal: float
    l2: float
    clip: float
    epsilon: float
    delta: float
    aggregation: str
    least_sites: int
    deadline: float
    noise: float

    @classmethod
    def of(cls, given: Mapping[str, ParamValue] | None) -> Plan:
        """Checked values, defaults for the rest.

        Raises:
            InvalidInputError: a name is unknown or a value out of bounds.
        """
        values: dict[str, Any] = resolve(SPACE, given)
        mechanisms = values["rounds"] * values["local_steps"]
        noise = noise_for(values["epsilon"], values["delta"], mechanisms) if values["epsilon"] > 0 else 0.0
        return cls(**values, noise=noise)

    @property
    def rates(self) -> tuple[float, float]:
        """A site's step for factors and for weights of pairs; FedAdam sends the bare gradient."""
        return (1.0, 1.0) if self.strategy == "fedadam" else (self.site_rate, _PAIR_RATE * self.site_rate)

    def longest_update(self, examples: int, size: int, length: float) -> float:
        """A length that no honest update exceeds.

        Every gradient is clipped, and Gaussian noise is practically never 1.5 times as long as expected.

        Args:
            examples: records of the site.
            size: numbers in an update.
            length: of the parameters that the site started from.
        """
        steps, rate = self.local_steps, max(self.rates)
        shrink = self.l2 * length / max(examples, 1) if self.l2 else 0.0
        noise = 1.5 * self.noise * self.clip * (size * steps) ** 0.5 / max(examples, 1)
        return float(rate * (1.1 * steps * (self.clip + shrink) + noise))

    def as_config(self) -> dict[str, float | int | str]:
        """As it travels to the sites."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Plan:
        """From `as_config`."""
        return cls(**{column.name: config[column.name] for column in fields(cls)})
