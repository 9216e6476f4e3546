"""What a plain method would answer: popularity, counts by code, text neighbours, distance, and their rank fusion.

Every baseline sees what the engines see, the training precedents, and nothing else. Each gives ``[q, n]`` scores;
popularity breaks ties, so that a neighbour method which finds nothing still answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ism.data.market import Floats, Ints, Market, OfferArrays, distance_km
from ism.engines.metrics import Values

NEIGHBOURS = 50  # distinct texts; of 3 to 500, what did best for MiniLM on MAESTRI: a choice in its favour
RRF_CONSTANT = 60.0  # Cormack, Clarke, Buettcher 2009
_TIE = 1e-6
_CLOSE_KM = 100.0  # within which two places are close, in the hand combination
_FAR_KM = 20_000.0  # stands for an unknown distance


@dataclass(frozen=True)
class Asked:
    """Offers as the baselines need them: the columns and the texts they were made from."""

    arrays: OfferArrays
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)


Baseline = Callable[[Market, Asked], Values]


def popularity(market: Market, asked: Asked) -> Values:
    """How often each receiver took anything."""
    return np.tile(_counts(market), (len(asked), 1))


def ewc_association(market: Market, asked: Asked) -> Values:
    """How often each receiver took this code; where these are equal, its subchapter, its chapter, then anything."""
    return _association(market, asked.arrays.ewc, market.precedents.ewc)


def sector_association(market: Market, asked: Asked) -> Values:
    """How often this class of donor supplied each receiver; where these are equal, a coarser class, then anybody."""
    return _association(market, asked.arrays.nace, market.precedents.donor_nace)


def same_material(market: Market, asked: Asked) -> Values:
    """How often each receiver took a material of exactly this name."""
    names, taken = _materials(market)
    place = {name: row for row, name in enumerate(names)}
    same = np.zeros((len(asked), len(names)))
    for q, text in enumerate(asked.texts):
        if text in place:
            same[q, place[text]] = 1.0
    return _with_ties(same @ taken, market)


def nearest(market: Market, asked: Asked) -> Values:
    """The closer the better."""
    return -_kilometres(market, asked)


def hand_combination(market: Market, asked: Asked) -> Values:
    """Who takes this material, or anything, nearby: log counts less the distance over 100 km; nothing is fitted."""
    counts = np.log1p(same_material(market, asked)) + 0.5 * np.log1p(_counts(market))
    return np.asarray(counts - _kilometres(market, asked) / _CLOSE_KM)


def minilm_knn(market: Market, asked: Asked) -> Values:
    """Receivers of the materials whose sentence vectors are closest."""
    past = market.precedents
    names, _ = _materials(market)
    first = {text: row for row, text in reversed(list(enumerate(past.texts)))}
    vectors = past.vectors[[first[name] for name in names]]
    return _neighbours(market, asked.arrays.vectors @ vectors.T)


def tfidf_knn(market: Market, asked: Asked) -> Values:
    """Receivers of the materials whose words are most alike (TF-IDF, cosine; scikit-learn)."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - 1 s to import: only where it is run

    names, _ = _materials(market)
    model = TfidfVectorizer(tokenizer=words, token_pattern=None, lowercase=False, sublinear_tf=True)
    known = model.fit_transform(names)
    return _neighbours(market, (model.transform(asked.texts) @ known.T).toarray())


def bm25_knn(market: Market, asked: Asked) -> Values:
    """Receivers of the materials whose words score best (Okapi BM25; rank-bm25)."""
    from rank_bm25 import BM25Okapi  # noqa: PLC0415 - a development dependency: only where it is run

    names, _ = _materials(market)
    model = BM25Okapi([words(name) for name in names])
    scored = {text: model.get_scores(words(text)) for text in dict.fromkeys(asked.texts)}
    return _neighbours(market, np.asarray([scored[text] for text in asked.texts]))


def reciprocal_rank_fusion(scores: Sequence[Values]) -> Values:
    """Sum over the methods of ``1 / (60 + rank)``; equal scores share the middle of their ranks."""
    return np.asarray(sum(1.0 / (RRF_CONSTANT + rankdata(-given, axis=1)) for given in scores))


def all_scores(
    methods: Mapping[str, Baseline], fused: Sequence[str], market: Market, asked: Asked
) -> dict[str, Values]:
    """Scores by every method, and under ``rrf`` their fusion.

    Args:
        methods: by name.
        fused: names of the methods that enter the fusion.
        market: with the training precedents only.
        asked: the questions.
    """
    scores = {name: method(market, asked) for name, method in methods.items()}
    return {**scores, "rrf": reciprocal_rank_fusion([scores[name] for name in fused])}


def words(text: str) -> list[str]:
    """Lower-case words and numbers of a text."""
    return re.findall(r"[^\W_]+", text.lower())


def _counts(market: Market) -> Values:
    return np.bincount(market.precedents.receiver, minlength=len(market.receivers)).astype(np.float64)


def _with_ties(scores: Values, market: Market) -> Values:
    counts = _counts(market)
    return np.asarray(scores + _TIE * counts / max(float(counts.max()), 1.0))


def _association(market: Market, own: Ints, past: Ints) -> Values:
    """Order by the counts at the finest level; coarser levels only decide between receivers that are still equal."""
    counts, receiver = _counts(market), market.precedents.receiver
    out = np.zeros((len(own), len(counts)))
    for q, code in enumerate(own):
        place = rankdata(counts, method="dense")
        for level in range(past.shape[1]):
            mine = receiver[(past[:, level] == code[level]) & (code[level] >= 0)]
            finer = np.bincount(mine, minlength=len(counts)) * float(len(counts) + 1)
            place = rankdata(finer + place, method="dense")
        out[q] = place
    return out


def _materials(market: Market) -> tuple[list[str], Values]:
    """Distinct material texts, and ``[materials, n]`` how often each receiver took them."""
    past = market.precedents
    place = {text: row for row, text in enumerate(dict.fromkeys(past.texts))}
    taken = np.zeros((len(place), len(market.receivers)))
    np.add.at(taken, (np.asarray([place[text] for text in past.texts], dtype=np.intp), past.receiver), 1.0)
    return list(place), taken


def _neighbours(market: Market, similarity: Values | Floats) -> Values:
    """Votes of the `NEIGHBOURS` most similar materials for who took them, each weighed by its similarity."""
    _, taken = _materials(market)
    weight = np.maximum(similarity.astype(np.float64), 0.0)
    if weight.shape[1] > NEIGHBOURS:
        order = np.argsort(-weight, axis=1, kind="stable")
        np.put_along_axis(weight, order[:, NEIGHBOURS:], 0.0, axis=1)
    return _with_ties(weight @ taken, market)


def _kilometres(market: Market, asked: Asked) -> Values:
    offers, home = asked.arrays, market.receivers
    away = distance_km(offers.latitude[:, None], offers.longitude[:, None], home.latitude[None], home.longitude[None])
    return np.nan_to_num(away.astype(np.float64), nan=_FAR_KM)
