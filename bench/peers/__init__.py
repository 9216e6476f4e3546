"""Peers: what a well-known library answers on the same split, with the same information and a stated tuning budget.

Each peer tries the same number of configurations (`BUDGET`) on a validation part of the training precedents, whole
groups held out, and is then fitted on all of them with the best. The test questions take no part in the choice.
"""

from bench.peers.embeddings import PYKEEN
from bench.peers.factors import IMPLICIT
from bench.peers.tuning import BUDGET, Peer, peer_scores

PEERS = {"implicit": IMPLICIT, "pykeen": PYKEEN}

__all__ = ["BUDGET", "PEERS", "Peer", "peer_scores"]
