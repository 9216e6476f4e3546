"""Small stand-ins: an encoder without a model, engines that remember what they were shown, a market of a few rows."""

import zlib

import numpy as np

from ism.data.market import Market, OfferArrays, Precedents, Receivers
from ism.engines.base import Engine


class WordEncoder:
    """A text is the normalised sum of its words' fixed random vectors: shared words, positive cosine."""

    name = "words"
    dimension = 32

    def encode(self, texts):
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                out[row] += np.random.default_rng(zlib.crc32(word.encode())).normal(size=self.dimension)
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


class CountingEngine(Engine):
    """Scores by how often a receiver took anything in the market it is asked about; keeps the snapshots it is shown."""

    name = "counting"
    sign = 1.0

    def __init__(self, shown=None):
        self.shown = [] if shown is None else shown

    def fit(self, snapshot, params=None, seed=0):
        self.shown.append(snapshot)

    def score(self, market, offers, rows=None):
        counts = np.bincount(market.precedents.receiver, minlength=len(market.receivers))
        scores = (0.5 + self.sign * 0.4 * counts / max(1, counts.max())).astype(np.float32)
        return np.tile(scores if rows is None else scores[rows], (len(offers), 1))

    def explain(self, market, offers, offer, row):
        return []

    @classmethod
    def search_space(cls):
        return {}

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder):
        raise NotImplementedError


class ContraryEngine(CountingEngine):
    """Prefers whom nobody chose."""

    name = "contrary"
    sign = -1.0


def offers(texts=("x",), ewc=None, nace=None, places=None):
    """Offer columns; codes as rows of three numbers."""
    count = len(texts)
    places = np.asarray(places if places is not None else [(np.nan, np.nan)] * count, dtype=np.float32)
    unknown = np.full((count, 3), -1, dtype=np.int32)
    return OfferArrays(
        vectors=WordEncoder().encode(texts),
        ewc=unknown if ewc is None else np.asarray(ewc, dtype=np.int32),
        nace=unknown if nace is None else np.asarray(nace, dtype=np.int32),
        latitude=places[:, 0],
        longitude=places[:, 1],
        quantity=np.full(count, np.nan, dtype=np.float32),
    )


def market(names, past, places=None):
    """Receivers by name; ``past`` lists (receiver row ascending, text, ewc levels)."""
    count = len(names)
    places = np.asarray(places if places is not None else [(np.nan, np.nan)] * count, dtype=np.float32)
    texts = [text for _, text, _ in past]
    columns = offers(texts, ewc=[ewc for _, _, ewc in past]) if past else offers(())
    rows = np.asarray([row for row, _, _ in past], dtype=np.intp)
    nobody = np.full((count, 3), -1, dtype=np.int32)
    receivers = Receivers(
        ids=list(names),
        names=list(names),
        kinds=["company"] * count,
        nace=nobody,
        latitude=places[:, 0],
        longitude=places[:, 1],
        countries=[""] * count,
        needs=np.zeros((0, WordEncoder.dimension), dtype=np.float32),
        need_owner=np.zeros(0, dtype=np.intp),
        need_texts=[],
    )
    precedents = Precedents(
        receiver=rows,
        vectors=columns.vectors,
        ewc=columns.ewc,
        donor_nace=columns.nace,
        receiver_nace=nobody[rows],
        latitude=columns.latitude,
        longitude=columns.longitude,
        texts=texts,
        references=[""] * len(past),
        sources=[""] * len(past),
    )
    return Market(receivers, precedents)
