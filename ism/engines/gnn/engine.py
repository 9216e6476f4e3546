"""The graph-network engine: how well a receiver's place in the market's graph fits an offer's.

A heterogeneous graph network (`ism.data.graph`, `network`) gives every receiver and every offer a state from its
features and its neighbours. A decoder joins two states: their product, paths that lead from one to the other, and their
distance. Nothing is learnt of a single node, so that a company of a minute ago is scored without training again.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, Rows, top_of_kinds
from ism.data.text import SentenceModel, TextEncoder
from ism.domain.engine import Reason
from ism.domain.errors import EngineError, NotFittedError
from ism.engines.base import Engine, Param, ParamValue, Snapshot
from ism.engines.files import read_about, write_about
from ism.engines.gnn.embedding import Embedding, embed, probability, utilities
from ism.engines.gnn.forward import Weights, check_weights
from ism.engines.gnn.reasons import edge_reasons
from ism.engines.params import resolve
from ism.engines.rules import rule_book

_FORMAT = 2
_FILE = "network.safetensors"


class GnnEngine(Engine):
    """Scores a pair by the graph around it.

    Args:
        device: what training runs on: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``. Serving needs neither.
        encoder: gives the curated rules' names their vectors; must be the one that the market was built with. Without
            one the graph has no paths through rules.
        use_rules: whether the graph has paths through rules.
    """

    name = "gnn"

    def __init__(self, device: str = "auto", encoder: TextEncoder | None = None, use_rules: bool = True) -> None:
        self._device = device
        self._rules = rule_book(encoder) if encoder is not None and use_rules else None
        self._weights: Weights | None = None
        self._training: dict[str, float] = {}
        self._embeddings: weakref.WeakKeyDictionary[Market, Embedding] = weakref.WeakKeyDictionary()

    @property
    def training(self) -> dict[str, float]:
        """How the training went: the best epoch (0 where nothing was learnt) and its loss in nats an offer."""
        return dict(self._training)

    @classmethod
    def search_space(cls) -> dict[str, Param]:
        """Parameters of network and training."""
        return {
            "width": Param(32, 8, 128, log=True, unit="numbers in a state"),
            "dropout": Param(0.1, 0.0, 0.6),
            "learning_rate": Param(0.005, 0.0005, 0.05, log=True),
            "weight_decay": Param(0.01, 0.0001, 1.0, log=True),
            "epochs": Param(60, 1, 300, unit="epochs at most"),
            "patience": Param(6, 1, 50, unit="epochs without gain"),
        }

    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        """Train until a fold of groups that is kept aside gains no more; see `Engine.fit`."""
        values = resolve(self.search_space(), params)
        from ism.engines.gnn.learn import learn  # noqa: PLC0415 - torch: seconds and 400 MB, only where something is learnt
        from ism.engines.gnn.lessons import lessons  # noqa: PLC0415 - only where something is learnt

        learnt, training = learn(snapshot.market, lessons(snapshot, seed, self._rules), values, seed, self._device)
        self._embeddings = weakref.WeakKeyDictionary()
        self._weights, self._training = learnt, training

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
        """``[q, n]`` in 0..1; see `Engine.score`."""
        weights, embedding = self._at(market)
        return probability(weights, utilities(weights, embedding, offers, rows))

    def propose(self, market: Market, offers: OfferArrays, count: int) -> Rows:
        """The best companies and the best sectors, found by scoring them all."""
        weights, embedding = self._at(market)
        return top_of_kinds(market.receivers, utilities(weights, embedding, offers)[0], count)

    def explain(self, market: Market, offers: OfferArrays, offer: int, row: int) -> list[Reason]:
        """The edges whose removal lowers the score most, each with the score that would be left."""
        return self.explain_all(market, offers, offer, np.asarray([row], dtype=np.intp))[0]

    def explain_all(self, market: Market, offers: OfferArrays, offer: int, rows: Rows) -> list[list[Reason]]:
        """All removals from all pairs in one pass of the network; see `explain`."""
        weights, embedding = self._at(market)
        return edge_reasons(weights, embedding, market, offers.take(np.asarray([offer], dtype=np.intp)), rows)

    def save(self, folder: Path) -> None:
        """Write ``engine.json`` and ``network.safetensors``."""
        if self._weights is None:
            raise NotFittedError(self.name)
        from safetensors.numpy import save_file  # noqa: PLC0415 - only where files are written or read

        folder.mkdir(parents=True, exist_ok=True)
        save_file(dict(self._weights), folder / _FILE)
        write_about(folder, self.name, _FORMAT, training=self._training, use_rules=self._rules is not None)

    @classmethod
    def load(cls, folder: Path, device: str = "auto", encoder: TextEncoder | None = None) -> GnnEngine:
        """Read what `save` wrote; see `Engine.load`."""
        from safetensors import SafetensorError  # noqa: PLC0415 - only where files are written or read
        from safetensors.numpy import load_file  # noqa: PLC0415 - as above

        about = read_about(folder, cls.name, _FORMAT)
        engine = cls(device, (encoder or SentenceModel()) if about.get("use_rules") else None)
        try:
            engine._weights = check_weights(load_file(folder / _FILE))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise EngineError(f"{folder / _FILE} cannot be read: {error}. Restore it or fit again.") from error
        engine._training = dict(about.get("training") or {})
        return engine

    def _at(self, market: Market) -> tuple[Weights, Embedding]:
        """The weights and the market as they see it; embedded once for each market."""
        weights, embeddings = self._weights, self._embeddings
        if weights is None:
            raise NotFittedError(self.name)
        embedding = embeddings.get(market)
        if embedding is None:
            embedding = embeddings[market] = embed(
                weights, market, self._rules
            )  # two threads may both do it, to the same result
        return weights, embedding
