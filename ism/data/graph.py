"""The market as a heterogeneous graph: what a graph network reads.

Nodes are precedents, receivers, materials, wastes (List-of-Waste codes of all levels), sectors (NACE codes likewise)
and places (cells of two sizes). Every precedent is joined to what it was about and to who took it; receivers are joined
to their sectors and places. Nothing in it is learnt, and no node is known by its identity alone: each has features (the
vector of its text, its code's hierarchy, its place), so that a node added a minute ago is as good as an old one.

Offers are not part of the graph. `offer_nodes` joins them to it when they are asked about.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ism.data.market import Floats, Ints, Market, OfferArrays, Rows
from ism.data.votes import material_cosine, vote_index

CODE_WIDTH = 32
PLACE_WIDTH = 24
CELLS = (0.5, 2.0)  # degrees
LEVELS = {"material": 1, "waste": 3, "sector": 3, "place": len(CELLS)}  # of what a precedent or offer is joined to
KNOWN = tuple(LEVELS)
_MATERIALS = 5  # closest materials that an offer is joined to
_TEXT_WIDTH = 0.1  # a cosine of 0.9 weighs 1/e
_UNRELATED = 0.3  # a cosine below joins nothing
_STRANGE = 0.05  # weight of no material at all
_LEVEL = 10_000_000  # keys of one level lie below those of the next
_OCTAVES = 4

Keys = npt.NDArray[np.int64]
Matrix: TypeAlias = sparse.csr_matrix


@dataclass(frozen=True, eq=False)
class MarketGraph:
    """Nodes, features and edges of a market.

    Attributes:
        materials: ``[m, d]`` unit vectors of distinct material texts.
        needs: ``[k, d]`` unit vectors of what receivers ask for; the market's own.
        asked: ``[n, k]`` who asks for them; a row adds up to 1, or to 0 where a receiver asks for nothing.
        codes: for ``waste`` and ``sector`` ``[nodes, CODE_WIDTH]``; equal ancestors give equal parts.
        places: ``[nodes, PLACE_WIDTH]`` of the cells.
        receiver_places: ``[n, PLACE_WIDTH]``; zero where the place is unknown.
        known: ``[p, len(KNOWN)]`` 1 where a precedent is joined to a node of that type.
        keys: for ``waste``, ``sector`` and ``place`` the ascending keys of the nodes.
        about: node type -> ``[p, nodes]`` incidence of precedents; ``receiver`` is who took it.
        homes: ``sector`` and ``place`` -> ``[n, nodes]`` incidence of receivers.
    """

    materials: Floats
    needs: Floats
    asked: Matrix
    codes: dict[str, Floats]
    places: Floats
    receiver_places: Floats
    known: Floats
    keys: dict[str, Keys]
    about: dict[str, Matrix]
    homes: dict[str, Matrix]

    @property
    def edges(self) -> int:
        """How many edges the graph has."""
        return sum(int(matrix.nnz) for matrix in (*self.about.values(), *self.homes.values()))


@dataclass(frozen=True, eq=False)
class OfferNodes:
    """Offers, and how they are joined to a graph.

    Attributes:
        texts: ``[q, d]``.
        codes: for ``waste`` and ``sector`` (of the donor) ``[q, CODE_WIDTH]``.
        places: ``[q, PLACE_WIDTH]``.
        about: node type -> ``[q, nodes]`` weights of the edges; those to materials say how alike the texts are.
    """

    texts: Floats
    codes: dict[str, Floats]
    places: Floats
    about: dict[str, Matrix]

    def take(self, rows: Rows) -> OfferNodes:
        """The offers at ``rows``, in that order."""
        codes = {kind: codes[rows] for kind, codes in self.codes.items()}
        about = {kind: edges[rows] for kind, edges in self.about.items()}
        return OfferNodes(self.texts[rows], codes, self.places[rows], about)


_graphs: weakref.WeakKeyDictionary[Market, MarketGraph] = weakref.WeakKeyDictionary()


def market_graph(market: Market) -> MarketGraph:
    """The graph of a market; made once for each market and kept as long as it."""
    graph = _graphs.get(market)
    if graph is None:
        graph = _graphs[market] = _built(market)  # two threads may both make it, to the same result
    return graph


def offer_nodes(graph: MarketGraph, offers: OfferArrays) -> OfferNodes:
    """Join offers to a graph: by their closest materials, their codes and their places."""
    about = {
        "material": _alike(graph.materials, offers.vectors),
        "waste": _incidence(graph.keys["waste"], code_keys(offers.ewc)),
        "sector": _incidence(graph.keys["sector"], code_keys(offers.nace)),
        "place": _incidence(graph.keys["place"], place_keys(offers.latitude, offers.longitude)),
    }
    codes = {"waste": code_features(offers.ewc), "sector": code_features(offers.nace)}
    return OfferNodes(offers.vectors, codes, place_features(offers.latitude, offers.longitude), about)


def code_keys(codes: Ints) -> Keys:
    """``[n, levels]`` one key for each code with its level; -1 where the code is coarser or absent."""
    keys = codes.astype(np.int64) + _LEVEL * np.arange(codes.shape[1])
    return np.where(codes >= 0, keys, -1)


def place_keys(latitude: Floats, longitude: Floats) -> Keys:
    """``[n, len(CELLS)]`` one key for each cell that a place lies in; -1 where the place is unknown."""
    known = np.isfinite(latitude) & np.isfinite(longitude)
    up, along = np.where(known, latitude, 0.0) + 90.0, np.where(known, longitude, 0.0) + 180.0
    cells = [
        _LEVEL * level + 1000 * np.floor(up / size).astype(np.int64) + np.floor(along / size).astype(np.int64)
        for level, size in enumerate(CELLS)
    ]
    return np.where(known[:, None], np.stack(cells, axis=1), -1)


def code_features(codes: Ints) -> Floats:
    """``[n, CODE_WIDTH]`` sum of a fixed random direction for each ancestor: kin codes are alike; 0 for none."""
    keys = code_keys(codes)
    with np.errstate(over="ignore"):  # the mixing of splitmix64 (Steele et al. 2014) is arithmetic modulo 2^64
        mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = (mixed[..., None] >> np.arange(CODE_WIDTH, dtype=np.uint64)) & np.uint64(1)
    signs = np.where((keys >= 0)[..., None], 2.0 * bits.astype(np.float32) - 1.0, 0.0)
    return np.asarray(signs.sum(axis=1) / np.sqrt(CODE_WIDTH * codes.shape[1]), dtype=np.float32)


def place_features(latitude: Floats, longitude: Floats) -> Floats:
    """``[n, PLACE_WIDTH]`` sines and cosines of the point on the unit sphere at four scales; 0 where unknown."""
    points = sphere_points(latitude, longitude)
    known = np.isfinite(points[:, :1])
    turns = (np.nan_to_num(points)[:, :, None] * np.float32(np.pi) * 2.0 ** np.arange(_OCTAVES)).reshape(
        len(points), PLACE_WIDTH // 2
    )
    waves = np.concatenate([np.sin(turns), np.cos(turns)], axis=1) / np.sqrt(PLACE_WIDTH / 2)
    return np.where(known, waves, 0.0).astype(np.float32)


def sphere_points(latitude: Floats, longitude: Floats) -> Floats:
    """``[n, 3]`` points on the unit sphere; NaN where a place is unknown."""
    phi, turn = np.radians(latitude), np.radians(longitude)
    points = [np.cos(phi) * np.cos(turn), np.cos(phi) * np.sin(turn), np.sin(phi) + 0.0 * turn]
    return np.stack(points, axis=1).astype(np.float32)


def _built(market: Market) -> MarketGraph:
    past, home, index = market.precedents, market.receivers, vote_index(market)
    place = {
        "past": place_keys(past.latitude, past.longitude),
        "home": place_keys(home.latitude, home.longitude),
    }
    waste_codes, sector_codes = _ancestry(past.ewc), _ancestry(past.donor_nace, home.nace)
    keys = {
        "waste": _distinct(code_keys(past.ewc)),
        "sector": _distinct(code_keys(past.donor_nace), code_keys(home.nace)),
        "place": _distinct(place["past"], place["home"]),
    }
    about = {
        "material": _single(index.material, len(index.materials)),
        "waste": _incidence(keys["waste"], code_keys(past.ewc)),
        "sector": _incidence(keys["sector"], code_keys(past.donor_nace)),
        "place": _incidence(keys["place"], place["past"]),
        "receiver": _single(past.receiver, len(home)),
    }
    known = np.stack([np.diff(about[kind].indptr) > 0 for kind in KNOWN], axis=1).astype(np.float32)
    return MarketGraph(
        materials=index.materials,
        needs=home.needs,
        asked=_asked(home.need_owner, len(home)),
        codes={"waste": waste_codes, "sector": sector_codes},
        places=_cell_features(keys["place"]),
        receiver_places=place_features(home.latitude, home.longitude),
        known=known,
        keys=keys,
        about=about,
        homes={
            "sector": _incidence(keys["sector"], code_keys(home.nace)),
            "place": _incidence(keys["place"], place["home"]),
        },
    )


def _ancestry(*codes: Ints) -> Floats:
    """Features of every node of a code list, in the order of its keys."""
    parts = [_cut(given, level) for given in codes for level in range(given.shape[1])]
    every = np.concatenate(parts)
    depth = (every >= 0).sum(axis=1) - 1
    keys = np.where(depth >= 0, code_keys(every)[np.arange(len(every)), depth], -1)
    found, first = np.unique(keys, return_index=True)
    return code_features(every[first[found >= 0]])


def _cut(codes: Ints, level: int) -> Ints:
    """The codes down to a level; nothing where a code does not reach it."""
    cut = np.where(np.arange(codes.shape[1]) <= level, codes, -1)
    return np.where(codes[:, level : level + 1] >= 0, cut, -1).astype(np.int32)


def _distinct(*keys: Keys) -> Keys:
    found = np.unique(np.concatenate([given.ravel() for given in keys]))
    return found[found >= 0]


def _single(owner: Rows, size: int) -> Matrix:
    """Incidence where every row is joined to one node."""
    ones = np.ones(len(owner), dtype=np.float32)
    return sparse.csr_matrix((ones, owner, np.arange(len(owner) + 1)), shape=(len(owner), size))


def _incidence(known: Keys, keys: Keys) -> Matrix:
    """``[n, len(known)]`` 1 for each known key of a row."""
    place = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
    found = (known[place] == keys) & (keys >= 0) if len(known) else np.zeros(keys.shape, dtype=bool)
    rows, columns = np.nonzero(found)[0], place[found]
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(keys), len(known)))


def _cell_features(keys: Keys) -> Floats:
    """Features of the cells' centres."""
    size = np.asarray(CELLS)[keys // _LEVEL]
    up, along = np.divmod(keys % _LEVEL, 1000)
    latitude, longitude = (up + 0.5) * size - 90.0, (along + 0.5) * size - 180.0
    return place_features(latitude.astype(np.float32), longitude.astype(np.float32))


def _asked(owner: Rows, size: int) -> Matrix:
    """``[size, len(owner)]`` mean over the needs of each owner."""
    share = 1.0 / np.maximum(np.bincount(owner, minlength=size), 1)
    where = owner, np.arange(len(owner))
    return sparse.csr_matrix((share[owner].astype(np.float32), where), shape=(size, len(owner)))


def closest_materials(materials: Floats, texts: Floats, more: int = 0) -> tuple[Rows, Floats]:
    """``[q, k]`` rows of the materials that offers are joined to (and ``more``), and their cosines."""
    cosine = _cosine(texts, materials)
    count = min(_MATERIALS + more, cosine.shape[1])
    if count == cosine.shape[1]:
        columns = np.tile(np.arange(count, dtype=np.intp), (len(texts), 1))
    else:
        columns = np.argpartition(-cosine, count, axis=1)[:, :count]
    return columns, np.take_along_axis(cosine, columns, axis=1)


def alike_weights(materials: Floats, text: Floats, gone: npt.NDArray[np.bool_]) -> Floats:
    """``[r, u]`` weights of the edges from a text ``[1, d]`` to materials, without those ``[r, u]`` that are gone."""
    cosine = np.where(gone, -np.inf, _cosine(text, materials))
    if cosine.shape[1] > _MATERIALS:
        least = -np.sort(-cosine, axis=1)[:, _MATERIALS - 1 : _MATERIALS]
        cosine = np.where(cosine >= least, cosine, -np.inf)
    return _edge_weights(cosine)


def _cosine(texts: Floats, materials: Floats) -> Floats:
    """Without what rounding adds: it differs with the size of the batch."""
    return np.minimum(material_cosine(materials, texts), np.float32(1.0))


def _edge_weights(cosine: Floats) -> Floats:
    """Weights that add up to 1 where a text is known, and to hardly anything where none is alike."""
    weight = np.where(cosine >= _UNRELATED, np.exp((cosine - 1.0) / _TEXT_WIDTH), 0.0)
    return np.asarray(weight / (weight.sum(axis=1, keepdims=True) + _STRANGE), dtype=np.float32)


def _alike(materials: Floats, texts: Floats) -> Matrix:
    """``[q, m]`` weights of the edges from texts to the closest materials."""
    columns, cosine = closest_materials(materials, texts)
    starts = columns.shape[1] * np.arange(len(texts) + 1)
    flat = _edge_weights(cosine).ravel(), columns.ravel(), starts
    edges = sparse.csr_matrix(flat, shape=(len(texts), len(materials)))
    edges.eliminate_zeros()
    return edges


def key_level(keys: Keys) -> Rows:
    """Level of each key: 0 is the coarsest code, but the finest cell."""
    return (keys // _LEVEL).astype(np.intp)
