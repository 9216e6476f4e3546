"""What the federated model sees: columns of an offer, and columns of an (offer, receiver) pair.

Nothing here looks at a precedent: a receiver is known by its public profile (sector, place, declared needs) and an
offer by itself, so that a site can compute every column from what it has and what the marketplace shows to all.
Categories share a few columns by hashing (Weinberger et al. 2009, "Feature hashing for large scale multitask
learning"), and texts are projected by random signs (Achlioptas 2003, "Database-friendly random projections"): neither
is learnt from data, so neither can tell anything about data.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ism.data.features import need_similarity
from ism.data.market import Floats, Ints, Market, OfferArrays, Rows, distance_km
from ism.engines.rules import RULE_COLUMNS, RULE_PRIOR, RuleBook

TEXT_COLUMNS = 32
_CHAPTERS = 20  # of the List of Waste, numbered from 1
_CODE_BUCKETS, _DONOR_BUCKETS = 48, 32
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # Knuth, The Art of Computer Programming, volume 3, 6.4: golden ratio

OFFER_GROUPS = {
    "always": slice(0, 1),
    "text": slice(1, 1 + TEXT_COLUMNS),
    "code": slice(1 + TEXT_COLUMNS, 1 + TEXT_COLUMNS + _CHAPTERS + _CODE_BUCKETS),
    "donor": slice(
        1 + TEXT_COLUMNS + _CHAPTERS + _CODE_BUCKETS, 1 + TEXT_COLUMNS + _CHAPTERS + _CODE_BUCKETS + _DONOR_BUCKETS
    ),
}
OFFER_COLUMNS = OFFER_GROUPS["donor"].stop

DISTANCE_KNOTS_KM = (0.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_NEED_KNOTS = (0.0, 0.3, 0.6)  # cosines above which a need counts more steeply
PAIR_GROUPS = {
    "distance": slice(0, 7),
    "need": slice(7, 10),
    "division": slice(10, 11),
    "rule": slice(11, 11 + len(RULE_COLUMNS)),
}
PAIR_COLUMNS = PAIR_GROUPS["rule"].stop
# What holds before anything was exchanged: nearer is better, so is what was asked for, and what a rule leads to.
_PRIOR = (1.2, 1.0, 0.6, 0.0, -0.6, -1.2, -1.8, 3.0, 3.0, 3.0, 0.0)
PAIR_PRIOR = np.asarray([*_PRIOR, *RULE_PRIOR], dtype=np.float32)


def offer_columns(offers: OfferArrays) -> Floats:
    """``[q, OFFER_COLUMNS]``: one, the projected text, the waste code at three levels, the donor's sector at two."""
    count = len(offers)
    out = np.zeros((count, OFFER_COLUMNS), dtype=np.float32)
    out[:, 0] = 1.0
    out[:, OFFER_GROUPS["text"]] = offers.vectors @ projection(offers.vectors.shape[1])
    code, donor = out[:, OFFER_GROUPS["code"]], out[:, OFFER_GROUPS["donor"]]
    chapter = offers.ewc[:, 0]
    inside = np.flatnonzero((chapter >= 1) & (chapter <= _CHAPTERS))
    code[inside, chapter[inside] - 1] = 1.0
    for level in (1, 2):
        _hash_into(code[:, _CHAPTERS:], offers.ewc[:, level])
    for level in (0, 2):
        _hash_into(donor, offers.nace[:, level])
    return out


@lru_cache(maxsize=4)
def projection(dimension: int) -> Floats:
    """``[dimension, TEXT_COLUMNS]`` random signs that keep lengths on average; the same everywhere, and read-only."""
    signs = np.random.default_rng(dimension).integers(0, 2, (dimension, TEXT_COLUMNS)) * 2 - 1
    found = np.asarray(signs / np.sqrt(TEXT_COLUMNS), dtype=np.float32)
    found.flags.writeable = False
    return found


def _hash_into(out: Floats, codes: Ints) -> None:
    known = np.flatnonzero(codes >= 0)
    mixed = (codes[known].astype(np.uint64) * _MULTIPLIER) >> np.uint64(40)
    out[known, (mixed % np.uint64(out.shape[1])).astype(np.intp)] += 1.0


def pair_columns(market: Market, offers: OfferArrays, rows: Rows, rules: RuleBook | None = None) -> Floats:
    """``[q, n, PAIR_COLUMNS]`` of each offer with the receivers at ``rows``.

    An unknown distance is all zeros, and so is what the curated rules say where none are given.
    """
    home = market.receivers
    out = np.zeros((len(offers), len(rows), PAIR_COLUMNS), dtype=np.float32)
    away = np.log1p(
        distance_km(
            offers.latitude[:, None], offers.longitude[:, None], home.latitude[rows][None], home.longitude[rows][None]
        )
    )
    knots = np.log1p(DISTANCE_KNOTS_KM)
    known = np.isfinite(away)
    away = np.nan_to_num(away)
    for number in range(len(knots)):
        out[:, :, number] = np.interp(away, knots, np.eye(len(knots))[number]) * known
    need = need_similarity(market, offers, rows)
    for number, knot in enumerate(_NEED_KNOTS):
        out[:, :, PAIR_GROUPS["need"].start + number] = np.maximum(need - knot, 0.0)
    own = offers.nace[:, :1]
    if rules is not None:
        known_rules = rules.at(market)
        out[:, :, PAIR_GROUPS["rule"]] = known_rules.columns(offers)[:, known_rules.group_of[rows]]
    out[:, :, PAIR_GROUPS["division"].start] = (home.nace[rows, 0][None] == own) & (own >= 0)
    return out
