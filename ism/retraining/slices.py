"""Is a model worse for somebody? Many slices are looked at, so Holm's correction keeps chance from raising alarms.

Holm (1979), "A simple sequentially rejective multiple test procedure": the smallest of k p-values is multiplied by k,
the next by k - 1, and none may be smaller than the one before. Slices may overlap; the procedure needs no independence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.engines.metrics import Values
from ism.retraining.bootstrap import clustered_error

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SliceFinding:
    """One slice under both models.

    Attributes:
        gap: mean difference, challenger less champion.
        p_worse: Holm-adjusted one-sided p-value of "not worse"; None where there are too few groups to tell.
    """

    name: str
    cases: int
    groups: int
    gap: float
    p_worse: float | None


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given."""
    out, floor = [1.0] * len(p_values), 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        floor = max(floor, min(1.0, (len(p_values) - place) * p_values[index]))
        out[index] = floor
    return out


def compare_slices(
    gaps: Values, groups: npt.ArrayLike, slices: Mapping[str, Mask], fewest_groups: int
) -> list[SliceFinding]:
    """Each slice with its adjusted p-value, in the order given.

    Args:
        gaps: ``[q]`` paired differences.
        groups: ``[q]`` label of each case's group.
        slices: name -> ``[q]`` which cases belong to it.
        fewest_groups: a slice with fewer is listed and not tested.
    """
    from scipy.stats import t  # noqa: PLC0415 - only where something is tested

    labels = np.asarray(groups)
    found: list[SliceFinding] = []
    tested: list[tuple[int, float]] = []
    for name, mask in slices.items():
        if not mask.any():
            continue
        mean, error, count = clustered_error(gaps[mask], labels[mask])
        if count >= max(fewest_groups, 2):
            ratio = mean / error if error > 0 else np.copysign(np.inf, mean) if mean else 0.0
            tested.append((len(found), float(t.cdf(ratio, count - 1))))
        found.append(SliceFinding(name, int(mask.sum()), count, mean, None))
    for (place, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
        one = found[place]
        found[place] = SliceFinding(one.name, one.cases, one.groups, one.gap, adjusted)
    return found
