"""What is known of an (offer, receiver) pair, as numbers.

Most of it is voting: every precedent votes for its receiver with a weight that says how much it resembles the offer (its *kernel*: text,
List-of-Waste code, donor sector, place, and products of them). Votes are counted for the receiver itself, for receivers of its NACE class
and of its NACE division, and turned into shares, so that one feature means the same in a market of 300 or of 30,000 precedents.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ism.data.market import Floats, Ints, Market, OfferArrays, Rows, distance_km, top_rows

KERNELS = (
    "any",
    "text",
    "same_text",
    "co_taken",
    "ewc_code",
    "ewc_subchapter",
    "ewc_chapter",
    "donor_class",
    "donor_division",
    "text_donor",
    "ewc_donor",
    "near_20km",
    "near_100km",
    "near_400km",
    "text_near",
    "same_text_near",
    "co_taken_near",
    "donor_near",
)
LEVELS = ("receiver", "class", "division")
PAIR_FEATURES = (
    "need_similarity",
    "distance_log_km",
    "distance_known",
    "distance_excess",
    "usual_distance",
    "same_division",
    "text_best",
    "ewc_best",
)
FEATURES = tuple(f"{kernel}@{level}" for kernel in KERNELS for level in LEVELS) + PAIR_FEATURES

_TEXT_WIDTH = 0.1  # a cosine of 0.9 votes with 1/e
_SAME_TEXT = 0.97
_PRIOR_VOTES = 1.0  # votes nobody cast, so that a single weak vote is not a share of 1


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
    """

    ballots: tuple[sparse.csr_matrix, ...]
    bins: tuple[Rows, ...]
    voted: Rows
    starts: Rows
    material: Rows
    materials: Floats
    profiles: sparse.csr_matrix
    usual: Floats


_indexes: weakref.WeakKeyDictionary[Market, VoteIndex] = weakref.WeakKeyDictionary()


def vote_index(market: Market) -> VoteIndex:
    """The index of a market for `pair_features`; made once for each market and kept as long as it."""
    index = _indexes.get(market)
    if index is None:
        index = _indexes[market] = _prepared(market)  # two threads may both make it, to the same result
    return index


def _prepared(market: Market) -> VoteIndex:
    past, receivers = market.precedents, market.receivers
    columns = [(past.receiver, np.arange(len(receivers)))]
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
    return VoteIndex(
        ballots=tuple(level[0] for level in levels),
        bins=tuple(level[1] for level in levels),
        voted=voted,
        starts=starts,
        material=material,
        materials=past.vectors[first],
        profiles=sparse.csr_matrix(profiles.astype(np.float32)),
        usual=_usual_distance(market, voted, starts),
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


def pair_features(market: Market, index: VoteIndex, offers: OfferArrays, rows: Rows | None = None) -> Floats:
    """Features of each offer with each receiver.

    Args:
        market: whose receivers are described.
        index: from `vote_index` of the same market.
        offers: ``q`` offers.
        rows: receivers to describe, all by default.

    Returns:
        ``[q, n, len(FEATURES)]``, finite everywhere: an unknown distance is 0 with ``distance_known`` 0.
    """
    asked = (market, index, offers, rows)
    answered = getattr(_last, "answer", None)
    if answered is not None and all(new is old for new, old in zip(asked, answered[0], strict=True)):
        features: Floats = answered[1]
        return features
    features = _described(market, index, offers, rows)
    features.flags.writeable = False
    _last.answer = (asked, features)
    return features


_last = threading.local()  # engines ask for the same pairs one after the other: each thread keeps its last answer


def _described(market: Market, index: VoteIndex, offers: OfferArrays, rows: Rows | None) -> Floats:
    rows = np.arange(len(market.receivers), dtype=np.intp) if rows is None else rows
    votes = len(KERNELS) * len(LEVELS)
    out = np.zeros((len(offers), len(rows), len(FEATURES)), dtype=np.float32)
    cosine = offers.vectors @ index.materials.T
    need = need_similarity(market, offers, rows)
    for q in range(len(offers)):
        kernels = _kernels(market, index, offers, q, cosine[q])
        for level in range(len(LEVELS)):
            share = _shares(kernels, index.ballots[level])
            out[q, :, level : votes : len(LEVELS)] = share[index.bins[level][rows]]
        out[q, :, votes:] = _pair(market, index, offers, q, rows, need[q], cosine[q], kernels)
    return out


_PROPOSING = tuple(KERNELS.index(name) for name in ("text", "ewc_code", "text_donor", "near_100km", "co_taken_near"))


def voted_receivers(market: Market, index: VoteIndex, offers: OfferArrays, count: int) -> Rows:
    """Receivers with most votes for a single offer, ``count`` for each of five kernels; only receivers that have precedents."""
    kernels = _kernels(market, index, offers, 0, (offers.vectors @ index.materials.T)[0])[list(_PROPOSING)]
    votes = np.add.reduceat(kernels, index.starts, axis=1)
    chosen = [index.voted[top_rows(row, count)] for row in votes if row.any()]
    return np.unique(np.concatenate([np.zeros(0, np.intp), *chosen]))


def need_similarity(market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
    """``[q, n]`` cosine of each offer with what each receiver asks for most closely; 0 where nothing is asked for."""
    receivers = market.receivers
    vectors, owner = receivers.needs, receivers.need_owner
    count = len(receivers)
    if rows is not None:
        first, last = np.searchsorted(owner, rows), np.searchsorted(owner, rows, side="right")
        sizes = last - first
        owner = np.repeat(np.arange(len(rows)), sizes)
        vectors = vectors[np.arange(len(owner)) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)]
        count = len(rows)
    out = np.zeros((len(offers), count), dtype=np.float32)
    if len(owner):
        owners, starts = np.unique(owner, return_index=True)
        out[:, owners] = np.maximum.reduceat(offers.vectors @ vectors.T, starts, axis=1)
    return out


def _kernels(market: Market, index: VoteIndex, offers: OfferArrays, q: int, cosine: Floats) -> Floats:
    """``[len(KERNELS), p]`` weights in 0..1 of each precedent's vote for offer ``q``."""
    past = market.precedents
    close = np.exp((np.minimum(cosine, 1.0) - 1.0) / _TEXT_WIDTH)
    co_taken = np.minimum(index.profiles @ (index.profiles.T @ (close / max(float(close.sum()), 1.0))), 1.0)[
        index.material
    ]
    text, same = close[index.material], (cosine > _SAME_TEXT).astype(np.float32)[index.material]
    ewc, donor = _same(past.ewc, offers.ewc[q]), _same(past.donor_nace, offers.nace[q])
    near20, near100, near400 = _near(market, offers, q)
    kernels = [
        np.ones(len(past)), text, same, co_taken,
        ewc[:, 2], ewc[:, 1], ewc[:, 0], donor[:, 2], donor[:, 0], text * (0.2 + 0.8 * donor[:, 0]), ewc[:, 1] * donor[:, 0],
        near20, near100, near400, text * near100, same * near400, co_taken * near100, donor[:, 0] * near400,
    ]  # fmt: skip
    return np.asarray(kernels, dtype=np.float32)


def _near(market: Market, offers: OfferArrays, q: int) -> tuple[Floats, Floats, Floats]:
    past = market.precedents
    if not np.isfinite(offers.latitude[q] + offers.longitude[q]):
        nowhere = np.zeros(len(past), dtype=np.float32)
        return nowhere, nowhere, nowhere
    away = distance_km(offers.latitude[q], offers.longitude[q], past.latitude, past.longitude)
    near20, near100, near400 = (np.nan_to_num(np.exp(-away / km)) for km in (20.0, 100.0, 400.0))
    return near20, near100, near400


def _same(codes: Ints, own: Ints) -> Floats:
    return ((codes == own) & (own >= 0)).astype(np.float32)


def _shares(kernels: Floats, ballots: sparse.csr_matrix) -> Floats:
    """``[bins, K]`` share of all votes; nobody votes in the last bin."""
    votes = np.asarray(ballots @ kernels.T)
    return np.asarray(votes / (kernels.sum(axis=1) + _PRIOR_VOTES), dtype=np.float32)


def _pair(
    market: Market,
    index: VoteIndex,
    offers: OfferArrays,
    q: int,
    rows: Rows,
    need: Floats,
    cosine: Floats,
    kernels: Floats,
) -> Floats:
    """``[n, len(PAIR_FEATURES)]``: what is not voting."""
    home = market.receivers
    out = np.zeros((len(rows), len(PAIR_FEATURES)), dtype=np.float32)
    out[:, 0] = need
    if np.isfinite(offers.latitude[q] + offers.longitude[q]):
        away = np.log1p(distance_km(offers.latitude[q], offers.longitude[q], home.latitude[rows], home.longitude[rows]))
        known = np.isfinite(away)
        out[:, 1] = np.nan_to_num(away)
        out[:, 2] = known
        out[:, 3] = np.nan_to_num(away - index.usual[rows])
    out[:, 4] = np.nan_to_num(index.usual[rows])
    out[:, 5] = (home.nace[rows, 0] == offers.nace[q, 0]) & (offers.nace[q, 0] >= 0)
    best = np.zeros((len(home), 2), dtype=np.float32)
    if len(index.voted):
        codes = kernels[KERNELS.index("ewc_code")], kernels[KERNELS.index("ewc_subchapter")]
        best[index.voted, 0] = np.maximum.reduceat(cosine[index.material], index.starts)
        best[index.voted, 1] = np.maximum.reduceat(np.maximum(codes[0], 0.5 * codes[1]), index.starts)
    out[:, 6:8] = best[rows]
    return out
