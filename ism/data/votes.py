"""A market prepared for voting: who may vote for whom, made once and shared by everything that asks."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ism.data.market import Floats, Ints, Market, Rows, distance_km


@dataclass(frozen=True, eq=False)
class Coded:
    """Codes of many precedents, of which few are distinct.

    Attributes:
        distinct: ``[u, 3]`` by level.
        of: ``[p]`` row of each precedent in ``distinct``.
    """

    distinct: Ints
    of: Rows

    @classmethod
    def among(cls, codes: Ints) -> Coded:
        """Of ``[p, 3]`` codes."""
        distinct, back = np.unique(codes, axis=0, return_inverse=True)
        return cls(distinct, back.ravel())


@dataclass(frozen=True)
class VoteIndex:
    """A market prepared for voting.

    Attributes:
        ballots: for each level a sparse ``[bins, p]`` matrix: which precedent votes in which bin.
        bins: for each level ``[n]`` the bin of each receiver; the last bin is nobody's.
        voted, starts: receivers that have precedents, and where these begin.
        material: ``[p]`` row in ``materials``.
        materials: unit vectors of the distinct material texts.
        profiles: sparse ``[materials, n]``, rows of length 1: who took which material.
        usual: ``[n]`` mean log distance over which a receiver was supplied; NaN where unknown.
        voted_place: ``[n]`` place of each receiver in ``voted``, -1 where it has no precedent.
        ewc, donor_nace: of the precedents.
    """

    ballots: tuple[sparse.csr_matrix, ...]
    bins: tuple[Rows, ...]
    voted: Rows
    starts: Rows
    material: Rows
    materials: Floats
    profiles: sparse.csr_matrix
    usual: Floats
    voted_place: Rows
    ewc: Coded
    donor_nace: Coded

    def voters(self, places: Rows) -> tuple[Rows, Rows]:
        """Precedents of the receivers at ``places`` of ``voted``, receiver after receiver, and where each begins."""
        ends = np.append(self.starts[1:], len(self.material))
        sizes = ends[places] - self.starts[places]
        starts = np.cumsum(sizes) - sizes
        return np.arange(sizes.sum()) + np.repeat(self.starts[places] - starts, sizes), starts


_indexes: weakref.WeakKeyDictionary[Market, VoteIndex] = weakref.WeakKeyDictionary()


def vote_index(market: Market) -> VoteIndex:
    """The index of a market for `ism.data.features`; made once for each market and kept as long as it."""
    index = _indexes.get(market)
    if index is None:
        index = _indexes[market] = _prepared(market)  # two threads may both make it, to the same result
    return index


_STEPS = np.float32(4096.0)
_last = threading.local()  # engines ask for the same offer one after the other: each thread keeps its last answer


def material_cosine(materials: Floats, vectors: Floats) -> Floats:
    """``[q, materials]`` cosines of texts with ``VoteIndex.materials``; the array is read-only.

    They come without what rounding adds: it differs with the size of the batch, and trees would split on it.
    """
    asked = vectors.tobytes()
    last: tuple[weakref.ref[Floats], bytes, Floats] | None = getattr(_last, "answer", None)
    if last is not None and last[0]() is materials and last[1] == asked:
        return last[2]
    cosine = steady(vectors @ materials.T)
    cosine.flags.writeable = False
    _last.answer = (weakref.ref(materials), asked, cosine)
    return cosine


def steady(cosine: Floats) -> Floats:
    """Cosines in steps of 1/4096."""
    return np.asarray(np.rint(cosine * _STEPS) / _STEPS, dtype=np.float32)


def _prepared(market: Market) -> VoteIndex:
    past, receivers = market.precedents, market.receivers
    columns: list[tuple[Rows | Ints, Rows | Ints]] = [(past.receiver, np.arange(len(receivers), dtype=np.intp))]
    columns += [(past.receiver_nace[:, level], receivers.nace[:, level]) for level in (2, 0)]
    levels = [_level(cast, owned) for cast, owned in columns]
    voted, starts = (column.astype(np.intp) for column in np.unique(past.receiver, return_index=True))
    texts = {text: row for row, text in enumerate(dict.fromkeys(past.texts))}
    material = np.asarray([texts[text] for text in past.texts], dtype=np.intp)
    first = np.unique(material, return_index=True)[1] if len(past) else np.zeros(0, np.intp)
    taken = sparse.csr_matrix((np.ones(len(past)), (material, past.receiver)), shape=(len(texts), len(receivers)))
    taken.data = np.log1p(taken.data)
    norms = np.sqrt(np.asarray(taken.multiply(taken).sum(axis=1)).ravel())
    profiles = sparse.diags(1.0 / np.maximum(norms, 1e-12)) @ taken
    voted_place = np.full(len(receivers), -1, dtype=np.intp)
    voted_place[voted] = np.arange(len(voted))
    return VoteIndex(
        ballots=tuple(level[0] for level in levels),
        bins=tuple(level[1] for level in levels),
        voted=voted,
        starts=starts,
        material=material,
        materials=past.vectors[first],
        profiles=sparse.csr_matrix(profiles.astype(np.float32)),
        usual=_usual_distance(market, voted, starts),
        voted_place=voted_place,
        ewc=Coded.among(past.ewc),
        donor_nace=Coded.among(past.donor_nace),
    )


def _level(cast: Rows | Ints, owned: Rows | Ints) -> tuple[sparse.csr_matrix, Rows]:
    """Ballots and bins of one level."""
    known, inverse = np.unique(cast, return_inverse=True)
    voters = np.flatnonzero(cast >= 0)
    shape = (len(known) + 1, len(cast))
    ballots = sparse.csr_matrix((np.ones(len(voters), np.float32), (inverse[voters], voters)), shape=shape)
    place = np.minimum(np.searchsorted(known, owned), max(len(known) - 1, 0))
    found = (known[place] == owned) & (owned >= 0) if len(known) else np.zeros(len(owned), dtype=bool)
    return ballots, np.where(found, place, len(known)).astype(np.intp)


def _usual_distance(market: Market, voted: Rows, starts: Rows) -> Floats:
    usual = np.full(len(market.receivers), np.nan, dtype=np.float32)
    if len(voted):
        past, home = market.precedents, market.receivers
        away = np.log1p(
            distance_km(past.latitude, past.longitude, home.latitude[past.receiver], home.longitude[past.receiver])
        )
        known = np.isfinite(away)
        total = np.add.reduceat(np.where(known, away, 0.0), starts)
        count = np.add.reduceat(known.astype(np.float32), starts)
        usual[voted] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return usual


def reachable(market: Market) -> npt.NDArray[np.bool_]:
    """``[n]`` receivers of whom anything is known: a need or a precedent."""
    known = np.zeros(len(market.receivers), dtype=bool)
    known[market.receivers.need_owner] = True
    known[market.precedents.receiver] = True
    return known
