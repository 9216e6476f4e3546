"""Receivers that have nothing but needs."""

import numpy as np

from ism.data.market import Receivers


def receivers(needs):
    """One company for each of the ``[k, d]`` needs."""
    count = len(needs)
    nowhere = np.full(count, np.nan, dtype=np.float32)
    return Receivers(
        ids=[str(row) for row in range(count)],
        names=[""] * count,
        kinds=["company"] * count,
        nace=np.full((count, 3), -1, dtype=np.int32),
        latitude=nowhere,
        longitude=nowhere,
        countries=[""] * count,
        needs=needs,
        need_owner=np.arange(count, dtype=np.intp),
        need_texts=[""] * count,
    )
