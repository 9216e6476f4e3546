"""A simulated marketplace with a past: who takes what follows a rule that can be learnt, over many years.

Each material has a few takers, of which one takes most; each donor hands over its material to one of them. Years are
drawn evenly, so that a split in time has cases on both sides.
"""

from __future__ import annotations

import numpy as np

from ism.domain.market import Company, Exchange
from ism.testing.sample import TRADES

FIRST_YEAR, LAST_YEAR = 1995, 2024
_FAVOURITE = 0.75  # share of exchanges that go to a material's first taker


def history(donors: int = 12, seed: int = 0, first: int = 0) -> tuple[list[Company], list[Exchange]]:
    """Companies and dated exchanges.

    Args:
        donors: of each of the eight materials.
        seed: of places, years and choices.
        first: number of the first donor; a later call with another one adds to an earlier one.
    """
    rng = np.random.default_rng(seed)
    companies, exchanges = [], []
    for kind, (material, ewc, sector, sectors) in enumerate(TRADES):
        companies += [_company(f"taker-{kind}-{number}", sectors[number // 2], rng) for number in range(4)]
        for number in range(first, first + donors):
            donor = _company(f"donor-{kind}-{number}", sector, rng)
            companies.append(donor)
            taker = 0 if rng.uniform() < _FAVOURITE else int(rng.integers(1, 4))
            exchanges.append(
                Exchange(
                    f"exchange-{kind}-{number}",
                    donor.company_id,
                    f"taker-{kind}-{taker}",
                    material,
                    ewc=ewc,
                    year_start=int(rng.integers(FIRST_YEAR, LAST_YEAR + 1)),
                    status="operating",
                    source="simulated",
                )
            )
    return companies, exchanges


def _company(name: str, nace: str, rng: np.random.Generator) -> Company:
    latitude, longitude = rng.uniform((44.0, 2.0), (56.0, 20.0)).round(3).tolist()
    return Company(name, name.replace("-", " ").title(), nace, "DE", latitude, longitude)
