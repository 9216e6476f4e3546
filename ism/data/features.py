"""What is known of an (offer, receiver) pair, as numbers.

Most of it is voting: every precedent votes for its receiver with a weight that says how much it resembles the offer (its *kernel*: text,
List-of-Waste code, donor sector, place, and products of them). Votes are counted for the receiver itself, for receivers of its NACE class
and of its NACE division, and turned into shares, so that one feature means the same in a market of 300 or of 30,000 precedents.
Precedents of the offer's own group never vote for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ism.data.market import Floats, Market, OfferArrays, Rows, distance_km

KERNELS = (
    "any",
    "text",
    "same_text",
    "ewc_code",
    "ewc_subchapter",
    "ewc_chapter",
    "donor_class",
    "donor_division",
    "text_donor",
    "ewc_donor",
    "near_50km",
    "near_200km",
    "text_near",
    "donor_near",
)
LEVELS = ("receiver", "class", "division")
PAIR_FEATURES = ("need_similarity", "distance_log_km", "distance_known", "distance_rank", "same_division", "text_best", "ewc_best")
FEATURES = tuple(f"{kernel}@{level}" for kernel in KERNELS for level in LEVELS) + PAIR_FEATURES

_TEXT_WIDTH = 0.1  # a cosine of 0.9 votes with 1/e
_SAME_TEXT = 0.97
_PRIOR_VOTES = 1.0  # votes nobody cast, so that a single weak vote is not a share of 1


@dataclass(frozen=True)
class VoteIndex:
    """Where votes are counted: for each level a sparse ``[p, bins]`` matrix and each receiver's bin (``bins`` = nowhere)."""

    ballots: tuple[sparse.csr_matrix, ...]
    bins: tuple[Rows, ...]
    starts: Rows
    voted: Rows


def vote_index(market: Market) -> VoteIndex:
    """Prepare a market for `pair_features`; do it once for each market."""
    precedents, receivers = market.precedents, market.receivers
    ballots, bins = [], []
    columns = [(precedents.receiver, np.arange(len(receivers)))]
    columns += [(precedents.receiver_nace[:, level], receivers.nace[:, level]) for level in (2, 0)]
    for cast, owned in columns:
        known, inverse = np.unique(cast, return_inverse=True)
        valid = cast >= 0
        rows = np.flatnonzero(valid)
        ballots.append(
            sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, inverse[valid])), shape=(len(cast), max(len(known), 1)))
        )
        place = np.searchsorted(known, owned)
        found = (place < len(known)) & (owned >= 0)
        found[found] = known[place[found]] == owned[found]
        bins.append(np.where(found, place, max(len(known), 1)).astype(np.intp))
    voted, starts = np.unique(precedents.receiver, return_index=True)
    return VoteIndex(tuple(ballots), tuple(bins), starts.astype(np.intp), voted.astype(np.intp))


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
    rows = np.arange(len(market.receivers), dtype=np.intp) if rows is None else rows
    out = np.zeros((len(offers), len(rows), len(FEATURES)), dtype=np.float32)
    similarity = offers.vectors @ market.precedents.vectors.T
    need = need_similarity(market, offers)
    for q in range(len(offers)):
        kernels = _kernels(market, offers, q, similarity[q])
        for level in range(len(LEVELS)):
            share = _shares(kernels, index.ballots[level])
            out[q, :, level : len(KERNELS) * len(LEVELS) : len(LEVELS)] = share[index.bins[level][rows]]
        out[q, :, len(KERNELS) * len(LEVELS) :] = _pair(market, index, offers, q, rows, need[q], similarity[q], kernels)
    return out


def need_similarity(market: Market, offers: OfferArrays) -> Floats:
    """``[q, n]`` cosine of each offer with what each receiver asks for most closely; 0 where nothing is asked for."""
    receivers = market.receivers
    out = np.zeros((len(offers), len(receivers)), dtype=np.float32)
    if len(receivers.need_owner):
        owners, starts = np.unique(receivers.need_owner, return_index=True)
        out[:, owners] = np.maximum.reduceat(offers.vectors @ receivers.needs.T, starts, axis=1)
    return out


def _kernels(market: Market, offers: OfferArrays, q: int, cosine: Floats) -> Floats:
    """``[len(KERNELS), p]`` weights in 0..1 of each precedent's vote for offer ``q``."""
    past = market.precedents
    allowed = (past.group != offers.group[q]) | (offers.group[q] < 0)
    text = np.exp((np.minimum(cosine, 1.0) - 1.0) / _TEXT_WIDTH)
    ewc = _same(past.ewc, offers.ewc[q])
    donor = _same(past.donor_nace, offers.nace[q])
    if np.isfinite(offers.latitude[q]):
        away = distance_km(float(offers.latitude[q]), float(offers.longitude[q]), past.latitude, past.longitude)
        near50, near200 = np.nan_to_num(np.exp(-away / 50.0)), np.nan_to_num(np.exp(-away / 200.0))
    else:
        near50 = near200 = np.zeros(len(past), dtype=np.float32)
    kernels = np.stack(
        [
            np.ones(len(past), dtype=np.float32),
            text,
            (cosine > _SAME_TEXT).astype(np.float32),
            ewc[:, 2],
            ewc[:, 1],
            ewc[:, 0],
            donor[:, 2],
            donor[:, 0],
            text * (0.2 + 0.8 * donor[:, 0]),
            ewc[:, 1] * donor[:, 0],
            near50,
            near200,
            text * near200,
            donor[:, 0] * near200,
        ]
    )
    return np.asarray(kernels * allowed, dtype=np.float32)


def _same(codes: npt.NDArray[np.int32], own: npt.NDArray[np.int32]) -> Floats:
    return ((codes == own) & (own >= 0)).astype(np.float32)


def _shares(kernels: Floats, ballots: sparse.csr_matrix) -> Floats:
    """``[bins + 1, K]`` share of all votes; the last row stands for receivers nobody could vote for."""
    votes = np.asarray((ballots.T @ kernels.T))
    total = kernels.sum(axis=1) + _PRIOR_VOTES
    return np.vstack([votes / total, np.zeros((1, len(kernels)), np.float32)]).astype(np.float32)


def _pair(
    market: Market, index: VoteIndex, offers: OfferArrays, q: int, rows: Rows, need: Floats, cosine: Floats, kernels: Floats
) -> Floats:
    """``[n, len(PAIR_FEATURES)]``: what is not voting."""
    receivers = market.receivers
    out = np.zeros((len(rows), len(PAIR_FEATURES)), dtype=np.float32)
    out[:, 0] = need[rows]
    if np.isfinite(offers.latitude[q]):
        away = distance_km(
            float(offers.latitude[q]), float(offers.longitude[q]), receivers.latitude[rows], receivers.longitude[rows]
        )
        known = np.isfinite(away)
        out[:, 1] = np.where(known, np.log1p(np.nan_to_num(away)), 0.0)
        out[:, 2] = known
        order = np.argsort(np.where(known, away, np.inf), kind="stable")
        out[order, 3] = np.log1p(np.arange(len(rows))) * known[order]
    out[:, 4] = (receivers.nace[rows, 0] == offers.nace[q, 0]) & (offers.nace[q, 0] >= 0)
    best = np.zeros((len(receivers) + 1, 2), dtype=np.float32)
    if len(index.voted):
        allowed = kernels[0] > 0
        best[index.voted, 0] = np.maximum.reduceat(np.where(allowed, cosine, 0.0), index.starts)
        best[index.voted, 1] = np.maximum.reduceat(kernels[3] + 0.5 * kernels[4] * (1 - kernels[3]), index.starts)
    out[:, 5:7] = best[rows]
    return out
