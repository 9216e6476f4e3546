"""The needs that are closest in meaning to an offer: exactly the closest ones, without reading every number.

A product with all vectors is bound by memory, not by arithmetic. So the vectors are turned once, such that a third of
their coordinates carries most of their length (principal axes). For an offer this third gives each cosine up to the
product of the two lengths that it leaves out (Cauchy-Schwarz); only needs that could still be among the closest are
compared in full. Where that leaves too many, all are compared.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np

from ism.data.market import Floats, Receivers, Rows, top_rows
from ism.data.text import Vectors

_WORTH_IT = 20_000  # needs; below, one product is as fast
_SAMPLE = 4096  # vectors that the axes are taken from
_PART = 3  # one coordinate in three is read
_ROUNDING = 1e-5
_MOST = 4  # one need in four compared in full costs as much as all in order


@dataclass(frozen=True)
class _Turned:
    """Vectors on principal axes.

    Attributes:
        axes: ``[d, d // 3]`` orthonormal.
        heads: ``[k, d // 3]`` coordinates on the axes.
        rests: ``[k]`` length of what the axes leave out.
    """

    axes: Floats
    heads: Floats
    rests: Floats


_turned: weakref.WeakKeyDictionary[Receivers, _Turned] = weakref.WeakKeyDictionary()


def closest_needs(receivers: Receivers, vector: Floats, count: int) -> Rows:
    """Rows in ``needs`` of the ``count`` largest cosines with a vector ``[d]``, in no particular order."""
    needs = receivers.needs
    if count <= 0 or len(needs) < max(_WORTH_IT, 4 * count):
        return top_rows(needs @ vector, count)
    turned = _turned.get(receivers)
    if turned is None:
        turned = _turned[receivers] = _turn(needs)  # two threads may both make it, to the same result
    head = vector @ turned.axes
    low = turned.heads @ head
    least = float((needs[top_rows(low, count)] @ vector).min())  # so many are at least this close
    left_out = _left_out(vector, head)
    possible = np.flatnonzero(low + left_out * turned.rests >= least - _ROUNDING)
    if len(possible) > len(needs) // _MOST:
        return top_rows(needs @ vector, count)
    return possible[top_rows(needs[possible] @ vector, count)]


def _turn(needs: Vectors) -> _Turned:
    sample = needs[:: max(1, len(needs) // _SAMPLE)].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)
    kept = np.ascontiguousarray(axes[:, ::-1][:, : max(1, needs.shape[1] // _PART)], dtype=np.float32)
    heads = needs @ kept
    return _Turned(kept, heads, _left_out(needs, heads))


def _left_out(whole: Floats, head: Floats) -> Floats:
    """Length of what the axes leave out of each vector."""
    squares = np.square(whole).sum(axis=-1) - np.square(head).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)), dtype=np.float32)
