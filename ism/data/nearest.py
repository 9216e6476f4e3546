"""The needs that are closest in meaning to an offer: exactly the closest ones, without reading every number.

A product with all vectors is bound by memory, not by arithmetic. So the vectors are turned once, such that their first
coordinates carry most of their length (principal axes). For an offer, the coordinates that were read give each cosine
up to the product of the two lengths that they leave out (Cauchy-Schwarz). They are read in stages: a sixth of them for
all needs, the next ones only for needs that could still be among the closest, and what is left in full.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np

from ism.data.market import Floats, Receivers, Rows, top_rows
from ism.data.text import Vectors

_WORTH_IT = 20_000  # needs; below, one product is as fast
_SAMPLE = 4096  # vectors that the axes are taken from
_STAGES = (6, 3, 1.5)  # a sixth, a third, two thirds of the coordinates
_MANY = 2  # where more than one need in two is left, reading all in order is faster than picking
_ROUNDING = 1e-5


@dataclass(frozen=True)
class _Stage:
    """Some of the coordinates on principal axes.

    Attributes:
        axes: ``[d, c]`` orthonormal.
        values: ``[k, c]`` coordinates on the axes.
        rests: ``[k]`` length of what these and the stages before leave out.
    """

    axes: Floats
    values: Floats
    rests: Floats


_turned: weakref.WeakKeyDictionary[Receivers, tuple[_Stage, ...]] = weakref.WeakKeyDictionary()


def closest_needs(receivers: Receivers, vector: Floats, count: int) -> Rows:
    """Rows in ``needs`` of the ``count`` largest cosines with a vector ``[d]``, in no particular order."""
    needs = receivers.needs
    if count <= 0 or len(needs) < max(_WORTH_IT, 4 * count):
        return top_rows(needs @ vector, count)
    stages = _turned.get(receivers)
    if stages is None:
        stages = _turned[receivers] = _turn(needs)  # two threads may both make it, to the same result
    possible, low = np.arange(len(needs), dtype=np.intp), np.zeros(len(needs), dtype=np.float32)
    whole, read = float(vector @ vector), 0.0
    for stage in stages:
        head = vector @ stage.axes
        read += float(head @ head)
        low += _product(stage.values, possible, head)
        least = float((needs[possible[top_rows(low, count)]] @ vector).min())  # so many are at least this close
        left_out = np.float32(max(whole - read, 0.0) ** 0.5)
        rests = stage.rests if len(possible) == len(needs) else stage.rests[possible]
        kept = np.flatnonzero(low + left_out * rests >= least - _ROUNDING)
        possible, low = possible[kept], low[kept]
    return possible[top_rows(needs[possible] @ vector, count)]


def _product(values: Floats, rows: Rows, head: Floats) -> Floats:
    if len(rows) == len(values):
        return np.asarray(values @ head)
    if len(rows) > len(values) // _MANY:
        return np.asarray((values @ head)[rows])
    return np.asarray(values[rows] @ head)


def _turn(needs: Vectors) -> tuple[_Stage, ...]:
    sample = needs[:: max(1, len(needs) // _SAMPLE)].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)
    axes = np.asarray(axes[:, ::-1], dtype=np.float32)
    stages: list[_Stage] = []
    start, left = 0, np.einsum("kd,kd->k", needs, needs)
    for part in _STAGES:
        end = max(start + 1, int(needs.shape[1] / part))
        kept = np.ascontiguousarray(axes[:, start:end])
        values = needs @ kept
        left = np.maximum(left - np.einsum("kc,kc->k", values, values), 0.0)
        stages.append(_Stage(kept, values, np.sqrt(left)))
        start = end
    return tuple(stages)
