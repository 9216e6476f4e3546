"""What is known of an (offer, receiver) pair, as numbers.

Most of it is voting: every precedent votes for its receiver with a weight that says how much it resembles the offer
(its *kernel*: text, List-of-Waste code, donor sector, place, and products of them). Votes are counted for the receiver
itself, for receivers of its NACE class and of its NACE division, and turned into shares, so that one feature means the
same in a market of 300 or of 30,000 precedents.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ism.data.market import Floats, Ints, Market, OfferArrays, Receivers, Rows, distance_km, top_rows
from ism.data.votes import Coded, VoteIndex, material_cosine, steady

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
    asked = _content(offers, rows)
    last: _Answer | None = getattr(_last, "answer", None)
    if last is not None and last.market() is market and last.index() is index and last.asked == asked:
        return last.features
    features = _described(market, index, offers, rows)
    features.flags.writeable = False
    _last.answer = _Answer(weakref.ref(market), weakref.ref(index), asked, features)
    return features


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a thread was last asked, and what it answered.

    The market is held weakly: a thread that rests must not keep an old one alive.
    """

    market: weakref.ref[Market]
    index: weakref.ref[VoteIndex]
    asked: tuple[bytes | None, ...]
    features: Floats


@dataclass(frozen=True, slots=True)
class _Kernels:
    """Kernels of a single offer; the market is held weakly, as in `_Answer`."""

    market: weakref.ref[Market]
    index: weakref.ref[VoteIndex]
    offer: tuple[bytes | None, ...]
    values: Floats

    def are_of(self, market: Market, index: VoteIndex, offers: OfferArrays) -> bool:
        """Whether they answer for these offers."""
        same = self.market() is market and self.index() is index
        return same and len(offers) == 1 and self.offer == _content(offers, None)


_last = threading.local()  # engines ask for the same pairs one after the other: each thread keeps its last answer


def _content(offers: OfferArrays, rows: Rows | None) -> tuple[bytes | None, ...]:
    """What was asked, by value."""
    return (None if rows is None else np.asarray(rows).tobytes(), *offers.content())


def _described(market: Market, index: VoteIndex, offers: OfferArrays, rows: Rows | None) -> Floats:
    rows = np.arange(len(market.receivers), dtype=np.intp) if rows is None else rows
    votes = len(KERNELS) * len(LEVELS)
    out = np.zeros((len(offers), len(rows), len(FEATURES)), dtype=np.float32)
    cosine = material_cosine(index.materials, offers.vectors)
    need = steady(need_similarity(market, offers, rows))
    proposed: _Kernels | None = getattr(_last, "kernels", None)  # those that the same offer was just proposed with
    known = proposed is not None and proposed.are_of(market, index, offers)
    for q in range(len(offers)):
        case = _Case(market, index, offers, q, cosine[q])
        kernels = proposed.values if known and proposed is not None else _kernels(case)
        cast, total = np.ascontiguousarray(kernels.T), kernels.sum(axis=1)
        for level in range(len(LEVELS)):
            share = _shares(cast, total, index.ballots[level])
            out[q, :, level : votes : len(LEVELS)] = share[index.bins[level][rows]]
        out[q, :, votes:] = _pair(case, rows, need[q], kernels)
    return out


@dataclass(frozen=True, slots=True)
class _Case:
    """One offer in a prepared market.

    Attributes:
        q: number of the offer.
        cosine: ``[materials]`` similarity of the offer with each material of the index.
    """

    market: Market
    index: VoteIndex
    offers: OfferArrays
    q: int
    cosine: Floats

    @property
    def place(self) -> tuple[np.float32, np.float32] | None:
        """Latitude and longitude of the offer, where both are known."""
        latitude, longitude = self.offers.latitude[self.q], self.offers.longitude[self.q]
        return (latitude, longitude) if np.isfinite(latitude + longitude) else None


_PROPOSING = tuple(KERNELS.index(name) for name in ("text", "ewc_code", "text_donor", "near_100km", "co_taken_near"))


def voted_receivers(market: Market, index: VoteIndex, offers: OfferArrays, count: int) -> Rows:
    """Receivers with most votes for a single offer, ``count`` for each of five kernels; all of them have precedents."""
    case = _Case(market, index, offers, 0, material_cosine(index.materials, offers.vectors)[0])
    kernels = _kernels(case)
    _last.kernels = _Kernels(weakref.ref(market), weakref.ref(index), _content(offers, None), kernels)
    votes = np.add.reduceat(kernels[list(_PROPOSING)], index.starts, axis=1)
    chosen = [index.voted[top_rows(row, count)] for row in votes if row.any()]
    return np.unique(np.concatenate([np.zeros(0, np.intp), *chosen]))


def need_similarity(market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
    """``[q, n]`` cosine of each offer with what each receiver asks for most closely; 0 where nothing is asked for.

    The array is read-only: engines that ask for the same pairs one after the other share it.
    """
    asked, last = _content(offers, rows), getattr(_last, "needs", None)
    if isinstance(last, _Needs) and last.receivers() is market.receivers and last.asked == asked:
        return last.values
    values = _need_similarity(market, offers, rows)
    values.flags.writeable = False
    _last.needs = _Needs(weakref.ref(market.receivers), asked, values)
    return values


@dataclass(frozen=True, slots=True)
class _Needs:
    """The last answer of `need_similarity`; the receivers are held weakly, as in `_Answer`."""

    receivers: weakref.ref[Receivers]
    asked: tuple[bytes | None, ...]
    values: Floats


def _need_similarity(market: Market, offers: OfferArrays, rows: Rows | None) -> Floats:
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


def _kernels(case: _Case) -> Floats:
    """``[len(KERNELS), p]`` weights in 0..1 of each precedent's vote."""
    past, index, offers, q = case.market.precedents, case.index, case.offers, case.q
    close = np.exp((np.minimum(case.cosine, 1.0) - 1.0) / _TEXT_WIDTH)
    co_taken = np.minimum(index.profiles @ (index.profiles.T @ (close / max(float(close.sum()), 1.0))), 1.0)[
        index.material
    ]
    text, same = close[index.material], (case.cosine > _SAME_TEXT).astype(np.float32)[index.material]
    ewc, donor = _same(index.ewc, offers.ewc[q]), _same(index.donor_nace, offers.nace[q])
    near20, near100, near400 = _near(case)
    kernels = [
        np.ones(len(past), np.float32), text, same, co_taken, ewc[2], ewc[1], ewc[0], donor[2], donor[0],
        text * (np.float32(0.2) + np.float32(0.8) * donor[0]), ewc[1] * donor[0], near20, near100, near400,
        text * near100, same * near400, co_taken * near100, donor[0] * near400,
    ]  # fmt: skip
    return np.asarray(kernels, dtype=np.float32)


def _near(case: _Case) -> tuple[Floats, Floats, Floats]:
    past = case.market.precedents
    if case.place is None:
        nowhere = np.zeros(len(past), dtype=np.float32)
        return nowhere, nowhere, nowhere
    away = distance_km(*case.place, past.latitude, past.longitude)
    near20, near100, near400 = (np.nan_to_num(np.exp(-away / km)) for km in (20.0, 100.0, 400.0))
    return near20, near100, near400


def _same(codes: Coded, own: Ints) -> Floats:
    """``[3, p]`` 1 where a precedent's code is the offer's, by level."""
    same = (codes.distinct == own) & (own >= 0)
    return np.asarray(same.T.astype(np.float32)[:, codes.of])


def _shares(cast: Floats, total: Floats, ballots: sparse.csr_matrix) -> Floats:
    """``[bins, K]`` share of all votes, from ``[p, K]`` votes and ``[K]`` their sums; nobody votes in the last bin."""
    votes = np.asarray(ballots @ cast)
    return np.asarray(votes / (total + _PRIOR_VOTES), dtype=np.float32)


def _pair(case: _Case, rows: Rows, need: Floats, kernels: Floats) -> Floats:
    """``[n, len(PAIR_FEATURES)]``: what is not voting."""
    home, index, own = case.market.receivers, case.index, case.offers.nace[case.q, 0]
    out = np.zeros((len(rows), len(PAIR_FEATURES)), dtype=np.float32)
    out[:, 0] = need
    if case.place is not None:
        away = np.log1p(distance_km(*case.place, home.latitude[rows], home.longitude[rows]))
        known = np.isfinite(away)
        out[:, 1] = np.nan_to_num(away)
        out[:, 2] = known
        out[:, 3] = np.nan_to_num(away - index.usual[rows])
    out[:, 4] = np.nan_to_num(index.usual[rows])
    out[:, 5] = (home.nace[rows, 0] == own) & (own >= 0)
    place = index.voted_place[rows]
    took = np.flatnonzero(place >= 0)
    if len(took):
        voters, starts = index.voters(place[took])
        codes = kernels[KERNELS.index("ewc_code")][voters], kernels[KERNELS.index("ewc_subchapter")][voters]
        out[took, 6] = np.maximum.reduceat(case.cosine[index.material[voters]], starts)
        out[took, 7] = np.maximum.reduceat(np.maximum(codes[0], 0.5 * codes[1]), starts)
    return out
