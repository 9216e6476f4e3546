"""Companies that go wrong together.

Honest sources agree because both are right; only sources that depend on each other share errors (Dong, Berti-Equille
and Srivastava 2009, "Integrating conflicting data: the role of source dependence"). Two companies are joined where they
contradict the outcomes on the same subjects much more often than two that err independently would.
"""

from __future__ import annotations

import numpy as np

from ism.feedback.claims import Claims, Mask
from ism.feedback.ladder import Ints

_LEAST_SHARED = 3
_LIFT = 3.0


def contradicted(claims: Claims) -> tuple[Mask, Mask]:
    """Which statements can be held against verified outcomes of other companies, and which of them were wrong.

    Returns:
        ``[n]`` whether there is such an outcome, and ``[n]`` whether it says the opposite.
    """
    count = int(claims.subject.max(initial=-1)) + 1
    fact = claims.facts & claims.verified
    votes = np.bincount(claims.subject, np.where(fact, 2 * claims.value - 1, 0.0), count)[claims.subject]
    said = 2 * claims.value - 1
    return (votes != 0) & ~fact, (votes * said < 0) & ~fact


def find_blocs(claims: Claims, companies: int, least_shared: int = _LEAST_SHARED, lift: float = _LIFT) -> Ints:
    """The bloc of each company; alone in its own where it shares no errors.

    Args:
        claims: one statement a company and subject.
        companies: how many there are.
        least_shared: errors that two companies must have in common.
        lift: how many times more than independent companies with the mean error rate would share.

    Returns:
        ``[companies]`` number of the bloc, from 0 on.
    """
    from scipy.sparse import csr_array  # noqa: PLC0415 - only where trust is estimated
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - as above

    held, wrong = contradicted(claims)
    if not wrong.any():
        return np.arange(companies, dtype=np.intp)
    shape = (companies, int(claims.subject.max()) + 1)

    def together(chosen: Mask) -> csr_array:
        rows, columns = claims.company[chosen], claims.subject[chosen]
        table = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
        return table @ table.T

    rate = wrong.sum() / held.sum()
    shared = together(wrong).tocoo()
    chance = np.asarray(together(held).tocsr()[shared.row, shared.col]).ravel() * rate**2
    joined = (shared.data >= least_shared) & (shared.data > lift * chance)
    edges = csr_array((joined[joined], (shared.row[joined], shared.col[joined])), shape=(companies, companies))
    return np.asarray(connected_components(edges, directed=False)[1], np.intp)
