"""`implicit`: alternating least squares on (token, receiver) counts.

Hu, Koren, Volinsky 2008, "Collaborative filtering for implicit feedback datasets". Tokens of `bench.peers.profiles`
take the place of users. An offer's vector is the sum of its tokens' vectors, each over the square root of how often
the token occurs: rare tokens say more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from bench.peers.profiles import Profiles
from bench.peers.tuning import Configuration, Peer
from ism.engines.metrics import Values

_SWEEPS = 12


def als_scores(profiles: Profiles, offers: sparse.csr_matrix, configuration: Configuration, seed: int) -> Values:
    """``[q, n]``; on one thread, so that a seed gives the same scores everywhere."""
    from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - a development dependency: only where it is run
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with scikit-learn: only where it is run

    counts = profiles.taken.copy()
    counts.data = np.log1p(counts.data)
    with threadpool_limits(1, "blas"):
        model: Any = AlternatingLeastSquares(
            factors=int(configuration["factors"]),
            regularization=configuration["regularization"],
            alpha=configuration["alpha"],
            iterations=_SWEEPS,
            num_threads=1,
            random_state=seed,
        )
        model.fit(counts, show_progress=False)
        rare = sparse.diags(1.0 / np.sqrt(np.asarray(profiles.taken.sum(axis=1)).ravel()))
        return np.asarray((offers @ rare @ model.user_factors) @ model.item_factors.T, dtype=np.float64)


IMPLICIT = Peer(
    [
        {"factors": factors, "regularization": 10.0, "alpha": alpha}
        for factors in (64, 32, 128)
        for alpha in (40.0, 10.0)
    ],
    als_scores,
)
