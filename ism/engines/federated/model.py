"""The choice model that sites train together.

McFadden (1974), "Conditional logit analysis of qualitative choice behavior": the receiver that took an offer was chosen
among all with probability proportional to ``exp(u)``, where ``u = x . (sum of the receiver's factors) + w . pair``.
A receiver's factors are the sum of those of its *bins*: itself (a company), its NACE class and its division, so that a
company without history inherits what its sector learned. The utility is linear in the parameters, hence the loss is
convex, updates can be averaged, and its parts are an exact explanation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ism.data.market import Floats, Market, Receivers, Rows
from ism.engines.federated.columns import OFFER_COLUMNS, PAIR_COLUMNS, PAIR_PRIOR

MOST_COMPANIES = 4096  # with factors of their own; in larger markets the others live on their sector's
FACTORS, PAIR = "factors", "pair"


@dataclass(frozen=True)
class Bins:
    """What factors belong to.

    Attributes:
        names: ``company:ID``, ``class:2351``, ``division:23``; one row of factors each.
    """

    names: tuple[str, ...]

    @cached_property
    def place(self) -> dict[str, int]:
        """Name -> row."""
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the names: whether two parties speak of the same bins."""
        return hashlib.sha256(json.dumps(self.names).encode()).hexdigest()

    def of(self, receivers: Receivers, rows: Rows) -> Rows:
        """``[n, 3]`` rows of factors of the receivers at ``rows``; ``len(names)`` where there is none."""
        none, place = len(self.names), self.place
        out = np.full((len(rows), 3), none, dtype=np.intp)
        codes = receivers.nace[rows, 2]
        own = np.flatnonzero(~receivers.sector[rows] | (codes < 0))  # a sector is its class, where it has one
        out[own, 0] = [place.get(f"company:{receivers.ids[row]}", none) for row in rows[own].tolist()]
        for column, kind, given in ((1, "class", codes), (2, "division", receivers.nace[rows, 0])):
            known, back = np.unique(given, return_inverse=True)
            found = [place.get(f"{kind}:{code}", none) if code >= 0 else none for code in known.tolist()]
            out[:, column] = np.asarray(found, dtype=np.intp)[back]
        return out


@dataclass(frozen=True, eq=False)
class Places:
    """The bins of many receivers, of which most have the same as others of their sector.

    Attributes:
        distinct: ``[u, 3]`` rows of factors (`Bins.of`).
        of: ``[n]`` row of each receiver in ``distinct``.
    """

    distinct: Rows
    of: Rows

    @classmethod
    def among(cls, bins: Bins, receivers: Receivers) -> Places:
        """Of all receivers."""
        every = bins.of(receivers, np.arange(len(receivers), dtype=np.intp))
        distinct, back = np.unique(every, axis=0, return_inverse=True)
        return cls(distinct, back.ravel())


def bins_of_market(market: Market) -> Bins:
    """The bins of a market's receivers; at most `MOST_COMPANIES` of companies, chosen by a hash of their identifier."""
    home = market.receivers
    named = [_bins_of(home, row) for row in range(len(home))]
    own = sorted({name for name, _, _ in named if name}, key=lambda name: hashlib.sha256(name.encode()).digest())
    coarser = sorted({name for bins in named for name in bins[1:] if name})
    return Bins((*sorted(own[:MOST_COMPANIES]), *coarser))


def _bins_of(receivers: Receivers, row: int) -> tuple[str, str, str]:
    division, _, code = receivers.nace[row].tolist()
    own = receivers.kinds[row] == "company" or code < 0  # a sector is its class, where it has one
    return (
        f"company:{receivers.ids[row]}" if own else "",
        f"class:{code}" if code >= 0 else "",
        f"division:{division}" if division >= 0 else "",
    )


@dataclass(frozen=True)
class Parameters:
    """What is learnt, and all that ever travels.

    Attributes:
        factors: ``[bins, OFFER_COLUMNS]``.
        pair: ``[PAIR_COLUMNS]``.
    """

    factors: Floats
    pair: Floats

    @classmethod
    def initial(cls, bins: Bins) -> Parameters:
        """Before anything was learnt: no factors, and the prior weights of the pairs."""
        return cls(np.zeros((len(bins.names), OFFER_COLUMNS), dtype=np.float32), PAIR_PRIOR.copy())

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Parameters:
        """From the arrays of `arrays`."""
        return cls(np.asarray(arrays[FACTORS], dtype=np.float32), np.asarray(arrays[PAIR], dtype=np.float32))

    def arrays(self) -> dict[str, Floats]:
        """By name, as they are sent and stored."""
        return {FACTORS: self.factors, PAIR: self.pair}

    def plus(self, other: Parameters, scale: float = 1.0) -> Parameters:
        """The sum with ``scale`` times another."""
        step = np.float32(scale)
        return Parameters(self.factors + step * other.factors, self.pair + step * other.pair)

    @property
    def norm(self) -> float:
        """Euclidean length of everything."""
        return float(np.sqrt(np.square(self.factors, dtype=np.float64).sum() + np.square(self.pair).sum()))

    @property
    def size(self) -> int:
        """How many numbers these are."""
        return self.factors.size + self.pair.size

    def of_receivers(self, places: Rows) -> Floats:
        """``[n, OFFER_COLUMNS]`` summed factors of receivers with the bins ``places`` (`Bins.of`)."""
        padded = np.concatenate([self.factors, np.zeros((1, self.factors.shape[1]), np.float32)])
        return np.asarray(padded[places].sum(axis=1), dtype=np.float32)


@dataclass(frozen=True)
class Examples:
    """One site's exchanges, prepared: each example is an offer of the site with everybody who took it.

    Attributes:
        offers: ``[q, OFFER_COLUMNS]``.
        pairs: ``[q, n, len(used)]``, without the columns that are nothing but zeros.
        used: the columns that are left.
        places: ``[n, 3]`` bins of the receivers that could be chosen (`Bins.of`).
        bins: how many bins there are.
        share: ``[q, n]`` each taker's share of its question; adds up to 1 or, where nothing was chosen, to 0.
        companies: of the ``n`` receivers the first so many are companies; they and the sectors are two questions.
    """

    offers: Floats
    pairs: Floats
    used: Rows
    places: Rows
    bins: int
    share: Floats
    companies: int

    def __len__(self) -> int:
        return len(self.offers)

    @cached_property
    def _incidence(self) -> sparse.csr_matrix:
        """``[n, bins]`` which receiver is in which bin."""
        receiver, _ = np.nonzero(self.places < self.bins)
        column = self.places[self.places < self.bins]
        return sparse.csr_matrix(
            (np.ones(len(column), np.float32), (receiver, column)), shape=(len(self.places), self.bins)
        )

    def gradient(self, parameters: Parameters, clip: float) -> Parameters:
        """Sum over the examples of the gradient of the log-likelihood, each scaled down to ``clip`` where it is longer.

        Args:
            parameters: where the gradient is taken.
            clip: bound on what a single example can add (Abadi et al. 2016, "Deep learning
                with differential privacy").
        """
        utility = self.offers @ parameters.of_receivers(self.places).T + self.pairs @ parameters.pair[self.used]
        residual = np.zeros_like(utility)
        for question in (slice(0, self.companies), slice(self.companies, utility.shape[1])):
            asked = self.share[:, question]
            if asked.shape[1]:
                odds = np.exp(utility[:, question] - utility[:, question].max(axis=1, keepdims=True))
                odds *= asked.sum(axis=1, keepdims=True) / odds.sum(axis=1, keepdims=True)
                residual[:, question] = asked - odds
        by_bin = residual @ self._incidence
        by_pair = (residual[:, None, :] @ self.pairs)[:, 0, :]
        length = np.sqrt(
            np.square(by_bin).sum(axis=1) * np.square(self.offers).sum(axis=1) + np.square(by_pair).sum(axis=1)
        )
        kept = np.minimum(1.0, clip / np.maximum(length, 1e-12)).astype(np.float32)
        pair = np.zeros(PAIR_COLUMNS, dtype=np.float32)
        pair[self.used] = kept @ by_pair
        return Parameters(np.asarray((by_bin * kept[:, None]).T @ self.offers, dtype=np.float32), pair)
