"""Simulated comparisons: gains of cases whose companies differ, and a challenger that is better by a known amount."""

from dataclasses import replace

import numpy as np

from ism.retraining.comparison import Comparison, Measured


def measured(gains, seed=0, latency=0.01, shown=50):
    rng = np.random.default_rng(seed)
    probabilities = rng.uniform(size=400)
    return Measured(np.asarray(gains, float), probabilities, np.full(len(gains), latency), shown)


def comparison(rng, gain=0.0, companies=40, each=5, spread=0.25, **changes):
    """Two models over the same cases; ``gain`` is how much better the challenger is on average."""
    count = companies * each
    groups = np.repeat(np.arange(companies), each)
    level = rng.normal(0.5, 0.1, companies)[groups] + rng.normal(0, 0.1, count)
    gap = rng.normal(0, 0.1, companies)[groups] + rng.normal(0, spread, count) + gain
    probabilities = rng.uniform(size=400)
    happened = (rng.uniform(size=400) < probabilities).astype(float)
    champion = Measured(level, probabilities, np.full(count, 0.01), 50)
    challenger = replace(champion, gains=level + gap)
    found = Comparison(
        challenger=challenger,
        champion=champion,
        references={},
        happened=happened,
        groups=groups,
        raters=groups,
        slices={"even": groups % 2 == 0, "odd": groups % 2 == 1},
        off_policy="every offer gets the same list, so the log holds no choice",
    )
    return replace(found, **changes)
