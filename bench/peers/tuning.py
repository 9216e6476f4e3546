"""The best of a few configurations, chosen inside the training side; the same for every peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bench.metrics import gains
from bench.peers.profiles import Profiles
from ism.data.market import OfferArrays
from ism.engines.base import Snapshot
from ism.engines.metrics import Values, best_ranks
from ism.engines.training import folds, queries

BUDGET = 6  # configurations that each peer tries
_FOLDS = 5  # one is held out to choose
_MOST_QUESTIONS = 2000  # of the validation part

Configuration = Mapping[str, float]
Scorer = Callable[[Profiles, sparse.csr_matrix, Configuration, int], Values]


@dataclass(frozen=True)
class Peer:
    """A library's model.

    Attributes:
        configurations: what is tried, `BUDGET` of them; the first is used where there is nothing to choose by.
        scores: (training profiles, ``[q, tokens]`` shares of the offers, configuration, seed) -> ``[q, n]``.
    """

    configurations: Sequence[Configuration]
    scores: Scorer


def peer_scores(
    peers: Mapping[str, Peer], snapshot: Snapshot, offers: OfferArrays, seed: int = 0
) -> dict[str, tuple[Values, Configuration]]:
    """Each peer's ``[q, n]`` scores of offers with every receiver, and the configuration that it was fitted with.

    Args:
        peers: by name.
        snapshot: what may be learnt from.
        offers: ``q`` offers.
        seed: of the validation part and of everything random in the models.
    """
    if not peers:
        return {}
    chosen = _chosen(peers, snapshot, seed)
    profiles = Profiles(snapshot.market)
    shares = profiles.of(offers)
    return {name: (peer.scores(profiles, shares, chosen[name], seed), chosen[name]) for name, peer in peers.items()}


def _chosen(peers: Mapping[str, Peer], snapshot: Snapshot, seed: int) -> dict[str, Configuration]:
    """The configuration of each peer with the best MRR on groups that were held out."""
    count = min(_FOLDS, len(np.unique(snapshot.groups)))
    if count < 2:
        return {name: peer.configurations[0] for name, peer in peers.items()}
    held_out = folds(snapshot.groups, count, seed) == 0
    kept, out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    asked = queries(Snapshot(snapshot.market.keeping(out), snapshot.groups[out]))
    mine = np.sort(np.random.default_rng(seed).permutation(len(asked.takers))[:_MOST_QUESTIONS])
    takers = [asked.takers[row] for row in mine]
    profiles = Profiles(snapshot.market.keeping(kept))
    shares = profiles.of(asked.offers.take(mine))

    def quality(peer: Peer, configuration: Configuration) -> float:
        scores = peer.scores(profiles, shares, configuration, seed)
        return float(gains(best_ranks(scores, takers, takers))["mrr"].mean())

    found = {name: [quality(peer, tried) for tried in peer.configurations] for name, peer in peers.items()}
    return {name: peers[name].configurations[int(np.argmax(mrr))] for name, mrr in found.items()}
