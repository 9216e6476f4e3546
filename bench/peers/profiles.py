"""Senders and their wastes as profiles of what is known about them, for peers that know identifiers only.

A recommender or a knowledge-graph embedding learns a vector for each user or entity that it has seen; a sender that it
has not seen has none. So what is known of an offer (material, List-of-Waste code, sector, place, and pairs of them)
becomes *tokens*: every token of a precedent took part in the exchange, and an offer is the weighted set of its tokens.
A material or a place that nobody has offered before is spread over the closest known ones. These are the same columns
that the engines read, the homes of the receivers included.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import product
from math import prod
from typing import cast

import numpy as np
from scipy import sparse

from ism.data.market import Floats, Ints, Market, OfferArrays, distance_km

FIELDS = (
    ("any",),
    ("material",),
    ("ewc_chapter",),
    ("ewc_subchapter",),
    ("ewc_code",),
    ("division",),
    ("group",),
    ("class",),
    ("site",),
    ("cell_1",),
    ("cell_3",),
    ("cell_8",),
    ("home_1",),
    ("home_3",),
    ("material", "division"),
    ("material", "cell_1"),
    ("material", "cell_3"),
    ("material", "cell_8"),
    ("division", "cell_3"),
    ("ewc_subchapter", "division"),
)
_CELLS = {"cell_1": 1.0, "cell_3": 3.0, "cell_8": 8.0, "home_1": 1.0, "home_3": 3.0}  # side in degrees of latitude
_KM_PER_DEGREE = 111.2
_NEAR_MATERIALS, _NEAR_CELLS = 10, 4
_TEXT_WIDTH = 0.1  # a material with a cosine of 0.9 counts 1/e of an equal one, as in the engines' votes
_LEAST = 0.01  # of a share of a profile

Key = Hashable
Shares = list[list[tuple[Key, float]]]  # for each offer its keys with their shares, which add up to 1


class Profiles:
    """Tokens of the training precedents.

    Args:
        market: whose precedents make the tokens.

    Attributes:
        tokens: ``(field number, *keys)``, distinct.
        taken: sparse ``[tokens, receivers]``: how often each receiver took something with the token; 1 for a home.
    """

    def __init__(self, market: Market) -> None:
        past, home = market.precedents, market.receivers
        self._number = {text: row for row, text in enumerate(dict.fromkeys(past.texts))}
        first = {text: row for row, text in reversed(list(enumerate(past.texts)))}
        self._vectors = past.vectors[[first[text] for text in self._number]]
        columns = _codes(past.ewc, past.donor_nace) | _places(past.latitude, past.longitude)
        columns["material"] = [self._number[text] for text in past.texts]
        pairs = [
            ((number, *keys), int(receiver))
            for number, field in enumerate(FIELDS)
            if not field[0].startswith("home")
            for *keys, receiver in zip(*(columns[name] for name in field), past.receiver, strict=True)
            if None not in keys
        ]
        homes = _places(home.latitude, home.longitude)
        pairs += [
            ((FIELDS.index((name,)), cell), row)
            for name in ("home_1", "home_3")
            for row, cell in enumerate(homes[name])
            if cell is not None
        ]
        self.tokens = list(dict.fromkeys(token for token, _ in pairs))
        self._place = {token: row for row, token in enumerate(self.tokens)}
        rows, receivers = [self._place[token] for token, _ in pairs], [receiver for _, receiver in pairs]
        shape = (len(self.tokens), len(home))
        self.taken = sparse.csr_matrix((np.ones(len(pairs), np.float32), (rows, receivers)), shape=shape)
        self._cells = {name: self._known_cells(name) for name in _CELLS}

    def of(self, offers: OfferArrays) -> sparse.csr_matrix:
        """Sparse ``[q, tokens]`` share of each token in each offer; tokens of one field add up to 1 at most."""
        shares = self._shares(offers)
        entries = [
            (q, self._place[token], share)
            for q in range(len(offers))
            for token, share in _tokens(shares, q)
            if share >= _LEAST and token in self._place
        ]
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (len(offers), len(self.tokens))
        return sparse.csr_matrix((np.asarray(values, np.float32), (rows, columns)), shape=shape)

    def _shares(self, offers: OfferArrays) -> dict[str, Shares]:
        codes = _codes(offers.ewc, offers.nace)
        site = _places(offers.latitude, offers.longitude)["site"]
        certain = {**codes, "site": site}
        out: dict[str, Shares] = {
            name: [[] if key is None else [(key, 1.0)] for key in keys] for name, keys in certain.items()
        }
        out["material"] = [self._materials(row) for row in offers.vectors @ self._vectors.T]
        for name in _CELLS:
            out[name] = [self._near(name, *place) for place in zip(offers.latitude, offers.longitude, strict=True)]
        return out

    def _materials(self, cosine: Floats) -> list[tuple[Key, float]]:
        near = np.argsort(-cosine, kind="stable")[:_NEAR_MATERIALS]
        return _spread(near.tolist(), np.exp((np.minimum(cosine[near], 1.0) - 1.0) / _TEXT_WIDTH))

    def _near(self, name: str, latitude: np.float32, longitude: np.float32) -> list[tuple[Key, float]]:
        cells, centres = self._cells[name]
        if not cells or not np.isfinite(latitude + longitude):
            return []
        away = distance_km(latitude, longitude, centres[:, 0], centres[:, 1])
        near = np.argsort(away, kind="stable")[:_NEAR_CELLS]
        reach = _CELLS[name] * _KM_PER_DEGREE / 2
        return _spread([cells[row] for row in near], np.exp(-away[near] / reach))

    def _known_cells(self, name: str) -> tuple[list[Key], Floats]:
        field = FIELDS.index((name,))
        cells = [token[1] for token in self.tokens if token[0] == field]
        return cells, np.asarray([_centre(cell, _CELLS[name]) for cell in cells], dtype=np.float32).reshape(-1, 2)


def _spread(keys: Sequence[Key], weight: Floats) -> list[tuple[Key, float]]:
    total = float(weight.sum())
    return list(zip(keys, (weight / total).tolist(), strict=True)) if total > 0 else []


def _tokens(shares: dict[str, Shares], q: int) -> Iterator[tuple[tuple[Key, ...], float]]:
    for number, field in enumerate(FIELDS):
        for combined in product(*(shares[name][q] for name in field)):
            yield (number, *(key for key, _ in combined)), prod(share for _, share in combined)


def _codes(ewc: Ints, nace: Ints) -> dict[str, list[Key | None]]:
    columns: dict[str, list[Key | None]] = {"any": [0] * len(ewc)}
    named = ((ewc, ("ewc_chapter", "ewc_subchapter", "ewc_code")), (nace, ("division", "group", "class")))
    for levels, names in named:
        for level, name in enumerate(names):
            columns[name] = [None if code < 0 else code for code in levels[:, level].tolist()]
    return columns


def _places(latitude: Floats, longitude: Floats) -> dict[str, list[Key | None]]:
    """The exact site, and the cell of each size; cells are about as wide as high everywhere."""
    places = list(zip(latitude.tolist(), longitude.tolist(), strict=True))
    known = [np.isfinite(north + east) for north, east in places]
    sites: list[Key | None] = [place if there else None for place, there in zip(places, known, strict=True)]
    return {"site": sites} | {
        name: [_cell(*place, side) if there else None for place, there in zip(places, known, strict=True)]
        for name, side in _CELLS.items()
    }


def _cell(north: float, east: float, side: float) -> tuple[int, int]:
    row = int(np.floor(north / side))
    return row, int(np.floor(east * _shrink(row, side) / side))


def _centre(cell: Key, side: float) -> tuple[float, float]:
    row, column = cast(tuple[int, int], cell)  # the keys of cell fields are what `_cell` makes
    return (row + 0.5) * side, (column + 0.5) * side / _shrink(row, side)


def _shrink(row: int, side: float) -> float:
    """How much shorter a degree of longitude is in this row of cells than at the equator."""
    return max(float(np.cos(np.radians((row + 0.5) * side))), 0.05)
