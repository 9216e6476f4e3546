"""The Open Bandit Dataset: logs of two policies that recommended fashion items, with propensities.

Saito, Aihara, Matsutani and Narita (2021), "Open Bandit Dataset and Pipeline"; ZOZO, Inc. Campaign "all": 80 items,
three positions. ``random`` chose evenly, ``bts`` by Bernoulli Thompson sampling without a context.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from ism.data.public import required_file

Policy = Literal["random", "bts"]
FOLDER = "open_bandit"
SOURCE = "Open Bandit Dataset (ZOZO, Inc.)"


def log(folder: Path, policy: Policy) -> pl.DataFrame:
    """What one policy showed: ``item`` 0..79, ``position`` 1..3, ``click`` 0 or 1, ``propensity``, ``user``.

    ``user`` numbers the distinct combinations of the users' four anonymous features, in order of appearance.
    """
    table = pl.read_csv(required_file(folder / FOLDER / policy / "all" / "all.csv.gz"))
    user = pl.concat_str([f"user_feature_{number}" for number in range(4)], separator="|", ignore_nulls=True)
    return table.select(
        item="item_id",
        position="position",
        click="click",
        propensity="propensity_score",
        user=user.rank("dense").cast(pl.Int64),
    )
