"""The curated rules as columns of a pair, for engines that learn how much a rule is worth.

The knowledge base is public: it is the same at every site of a federation, and looking at it tells nothing about
anybody's exchanges. It lets a sector that nobody has supplied yet be found.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ism.data import knowledge
from ism.data.knowledge.arrays import RuleArrays, curated_arrays, rule_arrays, rule_support
from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.text import TextEncoder
from ism.engines.knowledge_graph.paths import MEETINGS, RuleRoutes, rule_routes, spread

_SHARES = ("name", "code", "name_code_donor", "all")  # ways in which offer and rule meet, `MEETINGS`
RULE_COLUMNS = (*(f"log_{name}" for name in _SHARES), *_SHARES)
# Before anything was exchanged: a facilitator trusts a rule that names the material most.
RULE_PRIOR = np.asarray([0.3, 0.2, 0.2, 0.3, 2.0, 1.0, 2.0, 2.0], dtype=np.float32)
_FLOOR = 0.01  # shares below hardly count; they are compared by their logarithm above it


@dataclass(frozen=True, eq=False)
class MarketRules:
    """The rules in a market: receivers that the same rules lead to stand in one *group*.

    Attributes:
        arrays: the rules.
        routes: of one member of each group.
        members: ``[groups]`` one receiver of each group.
        group_of: ``[n]`` group of each receiver.
    """

    arrays: RuleArrays
    routes: RuleRoutes
    members: Rows
    group_of: Rows

    def columns(self, offers: OfferArrays) -> Floats:
        """``[q, groups, len(RULE_COLUMNS)]``, non-negative; 0 where no rule leads."""
        support, strength = rule_support(self.arrays, offers), self.arrays.strength[self.routes.order]
        material = self.arrays.material[self.routes.order]
        out = np.zeros((len(offers), len(self.members), len(RULE_COLUMNS)), dtype=np.float32)
        for column, name in enumerate(_SHARES):
            share = np.add.reduceat(MEETINGS[name](support)[:, material] * strength, self.routes.starts, axis=1)
            share /= np.sqrt(np.square(share).sum(axis=1, keepdims=True)) + 0.02
            led = spread(share, self.routes, self.members)
            out[:, :, column], out[:, :, len(_SHARES) + column] = np.log1p(led / _FLOOR), led
        return out

    def worth(self, offers: OfferArrays, weights: Floats, rows: Rows | None = None) -> Floats:
        """``[q, n]`` sum of the columns of each offer with the receivers at ``rows``, weighed."""
        of = self.group_of if rows is None else self.group_of[rows]
        return np.asarray((self.columns(offers) @ weights)[:, of], dtype=np.float32)


class RuleBook:
    """The rules, prepared for each market once.

    Args:
        arrays: columns of the rules.
    """

    def __init__(self, arrays: RuleArrays) -> None:
        self._arrays = arrays
        self._markets: weakref.WeakKeyDictionary[Market, MarketRules] = weakref.WeakKeyDictionary()

    @classmethod
    def of_vectors(cls, vectors: Floats) -> RuleBook:
        """The rules with the `vectors` of another book, for whoever has no encoder.

        Raises:
            ValueError: the vectors are those of other rules.
        """
        return cls(rule_arrays(knowledge.rules(), _Given(vectors)))

    @property
    def vectors(self) -> Floats:
        """``[names, d]`` of every name of each material."""
        return self._arrays.vectors

    def at(self, market: Market) -> MarketRules:
        """The rules in a market."""
        found = self._markets.get(market)
        if found is None:
            routes = rule_routes(self._arrays, market)
            led_by = routes.bin_of * (len(routes.starts) + 1) + routes.coarse_of
            _, members, group_of = np.unique(led_by, return_index=True, return_inverse=True)
            found = MarketRules(self._arrays, routes, members.astype(np.intp), group_of.astype(np.intp))
            self._markets[market] = found  # two threads may both make it, to the same result
        return found


class _Given:
    """Stands for the encoder that made the vectors."""

    name = "given"

    def __init__(self, vectors: Floats) -> None:
        self._vectors, self.dimension = vectors, vectors.shape[1]

    def encode(self, texts: Sequence[str]) -> Floats:
        """The vectors, if they are as many as the texts."""
        if len(texts) != len(self._vectors):
            raise ValueError(f"{len(self._vectors)} vectors were given for {len(texts)} names of the curated rules")
        return self._vectors


_known: dict[tuple[str, int], RuleBook] = {}  # one for each sentence model in use: there are few


def rule_book(encoder: TextEncoder) -> RuleBook:
    """The curated rules, shared by engines with the same sentence model: the one that the market was built with."""
    key = (encoder.name, encoder.dimension)
    if key not in _known:
        _known[key] = RuleBook(curated_arrays(encoder))
    return _known[key]
