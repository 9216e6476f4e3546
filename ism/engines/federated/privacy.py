"""The privacy ledger: what the noise in the updates guarantees, by Google's dp-accounting.

The unit is one *exchange record*: an offer of one donor with everybody who took it. Two data sets are neighbours when
the contribution of one record of one site is zeroed out (dp-accounting's ``REPLACE_SPECIAL``; how many records a site
has is sent openly and not protected). A site adds the whole noise itself, before anything leaves it, so that the
guarantee holds against the server and the other sites too. Each gradient of a site that enters an update is one
Gaussian mechanism (Abadi et al. 2016); sites hold different records, so that the loss does not add up over sites.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

UNIT = "one exchange record: an offer of one donor with everybody who took it"
NO_NOISE = "No noise was added: updates were clipped, but they carry no differential-privacy guarantee."


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent.

    Attributes:
        epsilon: spent by every record at most; None without noise.
        delta: probability with which ``epsilon`` may not hold; 0 without noise.
        noise: standard deviation of the noise in units of ``clip``.
        clip: bound on the length of what one record adds to a gradient.
        mechanisms: noised gradients that each site gave away.
        accountant: library and method.
    """

    epsilon: float | None
    delta: float
    noise: float
    clip: float
    mechanisms: int
    accountant: str
    unit: str = UNIT

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    def sentence(self) -> str:
        """For people."""
        if self.epsilon is None:
            return NO_NOISE
        return f"epsilon {self.epsilon:.2f} at delta {self.delta:g}, for {self.unit} ({self.accountant})"


def noise_for(epsilon: float, delta: float, mechanisms: int) -> float:
    """The noise multiplier with which ``mechanisms`` gradients together spend ``epsilon`` at ``delta``.

    Gaussian mechanisms compose to one whose variance is divided by their number (Dong, Roth, Su 2022, "Gaussian
    differential privacy"); that one is solved exactly (Balle, Wang 2018).
    """
    from dp_accounting import get_sigma_gaussian  # noqa: PLC0415 - 1 s to import: only where noise is wanted

    return float(get_sigma_gaussian(epsilon, delta)) * math.sqrt(mechanisms)


def ledger(noise: float, clip: float, mechanisms: int, delta: float) -> Ledger:
    """What ``mechanisms`` gradients with that noise have spent, by the privacy-loss-distribution accountant."""
    if noise <= 0 or not mechanisms:
        return Ledger(None, 0.0, 0.0, clip, mechanisms, "none")
    from dp_accounting import GaussianDpEvent, NeighboringRelation  # noqa: PLC0415 - as above
    from dp_accounting.pld import PLDAccountant  # noqa: PLC0415 - as above

    accountant = PLDAccountant(neighboring_relation=NeighboringRelation.REPLACE_SPECIAL)
    accountant.compose(GaussianDpEvent(noise), mechanisms)
    name = f"dp-accounting {version('dp-accounting')}, privacy loss distributions"
    return Ledger(float(accountant.get_epsilon(delta)), delta, noise, clip, mechanisms, name)
