"""What actors said, as columns: the common input of trust and labels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from ism.feedback.ladder import Floats, Ints

Mask = npt.NDArray[np.bool_]

POSITIVE_FROM, NEGATIVE_TO = 4, 2  # ratings; 3 says nothing
# How much one statement weighs before trust: a rating is cheap, an agreement binds somewhat, a delivery can be checked.
RATING, AGREEMENT, FACT = 0.2, 0.6, 1.0
OUTCOME_CLAIMS: Final[dict[str, tuple[float, float]]] = {
    "accepted": (1.0, AGREEMENT),
    "rejected": (0.0, AGREEMENT),
    "delivered": (1.0, FACT),
    "failed": (0.0, FACT),
}


def rating_claim(rating: float) -> tuple[float, float] | None:
    """Value and strength of a rating from 1 to 5; None where it takes no side."""
    if rating >= POSITIVE_FROM:
        return 1.0, RATING
    return (0.0, RATING) if rating <= NEGATIVE_TO else None


@dataclass(frozen=True)
class Claims:
    """``n`` statements that something was, or was not, a good match.

    Attributes:
        subject: ``[n]`` number of what it is about, from 0 on.
        actor: ``[n]`` number of who said it.
        company: ``[n]`` number of the company whose voice it is.
        value: ``[n]`` 1 for a good match, 0 for a bad one.
        strength: ``[n]`` weight before trust, 0..1.
        verified: ``[n]`` whether a system saw it (a weighbridge, an import of exchanges) rather than a person said it.
        time: ``[n]`` when it was recorded, seconds since 1970.
    """

    subject: Ints
    actor: Ints
    company: Ints
    value: Floats
    strength: Floats
    verified: Mask
    time: Floats

    def __len__(self) -> int:
        return len(self.subject)

    def take(self, chosen: Mask | Ints) -> Claims:
        """Some of them."""
        return Claims(**{item.name: getattr(self, item.name)[chosen] for item in fields(self)})

    @property
    def facts(self) -> Mask:
        """``[n]`` whether it tells of a delivery or its failure."""
        return np.asarray(self.strength >= FACT)


def one_voice_each(claims: Claims) -> Claims:
    """The strongest statement of each company on each subject, in order of subject and company.

    Among equally strong ones the latest counts, then the negative one.
    """
    last = (claims.actor, claims.verified)  # so that the order in which they came decides nothing
    order = np.lexsort((*last, claims.value, -claims.time, -claims.strength, claims.company, claims.subject))
    subject, company = claims.subject[order], claims.company[order]
    first = np.ones(len(order), bool)
    first[1:] = (subject[1:] != subject[:-1]) | (company[1:] != company[:-1])
    return claims.take(order[first])


def empty_claims() -> Claims:
    """No statements."""
    return claims_of([])


def claims_of(rows: list[tuple[int, int, int, float, float, bool, float]]) -> Claims:
    """Columns from rows in the order of the attributes of `Claims`."""
    kinds = (np.intp, np.intp, np.intp, np.float64, np.float64, np.bool_, np.float64)
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return Claims(*(np.asarray(column, kind) for column, kind in zip(columns, kinds, strict=True)))
