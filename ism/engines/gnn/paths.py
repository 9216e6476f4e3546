"""Paths from an offer to receivers that are counted, and how far away these are: what the decoder adds to the product.

A path leads from the offer over one of its nodes (a material, a code of some level, a place) and a precedent to the
receiver, or to a sector of the receiver. Such counts are what message passing alone loses (Chamberlain et al. 2023,
"Graph neural networks for link prediction with subgraph sketching"). They are compared as logarithms of shares, so that
they mean the same in a market of 300 or of 30,000 precedents.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ism.data.graph import LEVELS, MarketGraph, Matrix, OfferNodes, key_level, sphere_points
from ism.data.market import EARTH_RADIUS_KM, Floats, Market, OfferArrays, Rows

KINDS = tuple(f"{kind}_{level}" for kind, count in LEVELS.items() for level in range(count))
ENDS = ("receiver", "division", "group", "class")
SCALES_KM = (20.0, 100.0, 400.0, 1500.0)
DISTANCES = (*(f"within_{scale:.0f}km" for scale in SCALES_KM), "log_distance", "distance_known")
_SHARP = 100.0  # shares are compared by their logarithm above one in a hundred


@dataclass(frozen=True, eq=False)
class PathIndex:
    """A market prepared for counting; its ``nodes`` are those of all types, one type after the other.

    Attributes:
        counts: ``[nodes, n + sectors]`` precedents of a node that lead to a receiver, and to a sector.
        totals: ``[nodes]`` precedents of a node.
        kind: ``[nodes]`` place in `KINDS`.
        first: node type -> its first node.
        end: ``[n + sectors]`` place in `ENDS`.
        sector_of: ``[3, n]`` column of each receiver's sector by level; one behind the last where it has none.
        popular: ``[n, len(ENDS)]`` logarithm of the share of all precedents.
        points: ``[n, 3]`` receivers on the unit sphere.
    """

    counts: Matrix
    totals: Floats
    kind: Rows
    first: dict[str, int]
    end: Rows
    sector_of: npt.NDArray[np.intp]
    popular: Floats
    points: Floats

    @cached_property
    def axes(self) -> Floats:
        """``[3, n]``: ``points``, one axis after the other."""
        return np.ascontiguousarray(self.points.T)

    @cached_property
    def sectors(self) -> tuple[Rows, Rows]:
        """``[3, u]`` distinct columns of ``sector_of``, and ``[n]`` which of them each receiver has."""
        distinct, back = np.unique(self.sector_of, axis=1, return_inverse=True)
        return distinct, back.ravel()

    @cached_property
    def live(self) -> Rows:
        """Columns of paths, of the ``len(KINDS) * len(ENDS)``, that lead anywhere."""
        coo = self.counts.tocoo()
        return np.unique(self.kind[coo.row] * len(ENDS) + self.end[coo.col]).astype(np.intp)


def path_index(graph: MarketGraph, market: Market) -> PathIndex:
    """Prepare a market for `count_paths`."""
    took, sectors = graph.about["receiver"], graph.homes["sector"]
    nodes = sparse.hstack([graph.about[kind] for kind in LEVELS], format="csc")
    levels = {kind: key_level(graph.keys[kind]) for kind in LEVELS if kind != "material"}
    levels["material"] = np.zeros(len(graph.materials), dtype=np.intp)
    kinds = [KINDS.index(f"{kind}_0") + levels[kind] for kind in LEVELS]
    sizes = [graph.about[kind].shape[1] for kind in LEVELS]
    ends = sparse.hstack([took, took @ sectors], format="csr")
    popular = log_share(np.asarray(ends.sum(axis=0), dtype=np.float32).ravel(), np.float32(len(graph.known)))
    sector_of = _by_level(sectors, levels["sector"])
    home = market.receivers
    return PathIndex(
        counts=sparse.csr_matrix(nodes.T @ ends),
        totals=np.asarray(nodes.sum(axis=0), dtype=np.float32).ravel(),
        kind=np.concatenate(kinds),
        first=dict(zip(LEVELS, np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist(), strict=True)),
        end=np.concatenate([np.zeros(len(home), np.intp), 1 + levels["sector"]]),
        sector_of=sector_of,
        popular=np.stack([popular[: len(home)], *np.append(popular, np.float32(0.0))[sector_of]], axis=1),
        points=sphere_points(home.latitude, home.longitude),
    )


def log_share(counts: Floats, total: Floats | np.float32) -> Floats:
    """Logarithm of the share of all paths, of which one more than there are is nobody's; 0 where there is none."""
    return np.asarray(np.log1p(_SHARP * counts / (total + 1.0)), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class PathCounts:
    """What the paths of ``q`` offers are worth: ``shares[offer * len(KINDS) + kind, end]``, sparse."""

    index: PathIndex
    shares: Matrix

    def columns(self, rows: Rows, live: Rows) -> Floats:
        """``[q, len(rows), len(live)]``: of the ``len(KINDS) * len(ENDS)`` columns those at ``live``."""
        empty = sparse.csr_matrix((self.shares.shape[0], 1), dtype=np.float32)
        shares = sparse.hstack([self.shares, empty], format="csr")
        places = [np.arange(len(self.index.points)), *self.index.sector_of]
        asked = self.shares.shape[0] // len(KINDS)
        out = np.zeros((asked, len(rows), len(live)), dtype=np.float32)
        for place, column in enumerate(live.tolist()):
            kind, end = divmod(column, len(ENDS))
            out[:, :, place] = shares[kind :: len(KINDS)].toarray()[:, places[end][rows]]
        return out

    def weighed(self, weights: Floats) -> Floats:
        """``[q, n + sectors + 1]`` what the paths to each end are worth; the last is nobody's."""
        asked, ends = self.shares.shape[0] // len(KINDS), self.shares.shape[1]
        coo = self.shares.tocoo()
        offer, kind = np.divmod(coo.row, len(KINDS))
        value = coo.data * weights.reshape(len(KINDS), len(ENDS))[kind, self.index.end[coo.col]]
        summed = np.bincount(offer.astype(np.int64) * (ends + 1) + coo.col, value, asked * (ends + 1))
        return summed.astype(np.float32).reshape(asked, ends + 1)


def of_receivers(index: PathIndex, ends: Floats, rows: Rows | None) -> Floats:
    """``[q, n]`` sums of what leads to each receiver and to its sectors.

    Args:
        index: of the market.
        ends: ``[q, n + sectors + 1]``, from `PathCounts.weighed`.
        rows: receivers, all by default.
    """
    distinct, which = index.sectors
    theirs = ends[:, distinct].sum(axis=1)
    size = len(index.points)
    if rows is None:
        return np.asarray(ends[:, :size] + theirs[:, which], dtype=np.float32)
    return np.asarray(ends[:, rows] + theirs[:, which[rows]], dtype=np.float32)


def count_paths(index: PathIndex, offers: OfferNodes) -> PathCounts:
    """Paths from offers that were joined to the same graph."""
    owner, node, weight = [], [], []
    for kind in LEVELS:
        about = offers.about[kind]
        owner.append(np.repeat(np.arange(about.shape[0]), np.diff(about.indptr)))
        node.append(about.indices + index.first[kind])
        weight.append(about.data)
    nodes = np.concatenate(node)
    row = np.concatenate(owner) * len(KINDS) + index.kind[nodes]
    shape = (offers.about["material"].shape[0] * len(KINDS), len(index.totals))
    steps = sparse.csr_matrix((np.concatenate(weight), (row, nodes)), shape=shape)
    shares = sparse.csr_matrix(steps @ index.counts)
    total = np.asarray(steps @ index.totals, dtype=np.float32)
    shares.data = log_share(shares.data, np.repeat(total, np.diff(shares.indptr)))
    return PathCounts(index, shares)


def distances(index: PathIndex, offers: OfferArrays, offer: int, rows: Rows | None) -> Floats:
    """``[len(DISTANCES), n]`` closeness at several scales, log of the distance, and whether it is known; else 0."""
    here = sphere_points(offers.latitude[offer : offer + 1], offers.longitude[offer : offer + 1])[0]
    there = index.axes if rows is None else index.axes[:, rows]
    out = np.zeros((len(DISTANCES), there.shape[1]), dtype=np.float32)
    square = np.zeros(there.shape[1], dtype=np.float32)
    for axis, own in zip(there, here, strict=True):
        gap = axis - own
        square += gap * gap
    square *= np.float32(EARTH_RADIUS_KM**2)  # of the chord, in km^2
    known = np.isfinite(square)
    if not known.all():
        square = np.where(known, square, np.float32(np.inf))
    for row, scale in enumerate(SCALES_KM):
        np.divide(1.0, 1.0 + square * np.float32(scale**-2), out=out[row])
    out[-1] = known
    out[-2] = np.log(1.0 + np.where(known, square, np.float32(0.0)) * np.float32(SCALES_KM[0] ** -2))
    return out


def _by_level(homes: Matrix, levels: Rows) -> npt.NDArray[np.intp]:
    out = np.full((len(ENDS) - 1, homes.shape[0]), homes.shape[0] + homes.shape[1], dtype=np.intp)
    coo = homes.tocoo()
    out[levels[coo.col], coo.row] = homes.shape[0] + coo.col
    return out
