"""The knowledge-graph engine: typed paths through rules and precedents.

Each type of path is weighted by how often it led to a real exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ism.data.knowledge.arrays import curated_arrays, rule_arrays
from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.text import SentenceModel, TextEncoder
from ism.data.votes import vote_index
from ism.domain.engine import Reason
from ism.domain.errors import NotFittedError
from ism.engines.base import Engine, Param, ParamValue, Snapshot
from ism.engines.files import numbers, read_about, write_about
from ism.engines.knowledge_graph.choice import fit_weights
from ism.engines.knowledge_graph.paths import PATHS, RuleRoutes, path_features, proposed_rows, rule_routes
from ism.engines.knowledge_graph.reasons import path_reasons
from ism.engines.params import resolve
from ism.engines.training import Describer, ranking_problem

_FORMAT = 1
_FLOOR = 0.01  # paths weaker than this hardly count; values are compared by their logarithm above it
_SHARPNESS = 8.0  # utility at which a pair without precedent for its offer scores one half

_WEIGHTS = (*(f"log {name}" for name in PATHS), *PATHS)
_RULE_PRIOR = {
    "log rule_name_share": 0.3,
    "log rule_all_share": 0.3,
    "log rule_code_share": 0.2,
    "log rule_name_code_donor_share": 0.2,
    "rule_name_share": 2.0,
    "rule_all_share": 2.0,
    "rule_code_share": 1.0,
    "rule_name_code_donor_share": 2.0,
}
_PAST_PRIOR = {
    "log text@receiver": 0.1,
    "log ewc_code@receiver": 0.1,
    "log text_donor@receiver": 0.1,
    "log text@class": 0.1,
    "log co_taken_near@receiver": 0.1,
    "log place_1000km": 0.1,
    "text@class": 2.0,
    "ewc_code@class": 2.0,
    "text_donor@class": 2.0,
}


class KnowledgeGraphEngine(Engine):
    """Scores a pair by the paths that join it.

    Args:
        encoder: gives the rules' names their vectors; must be the one that the market was built with.
        use_rules: whether the curated knowledge base takes part (the benchmark shows both).
    """

    name = "knowledge_graph"

    def __init__(self, encoder: TextEncoder, use_rules: bool = True) -> None:
        self._encoder = encoder
        self._rules = curated_arrays(encoder) if use_rules else rule_arrays((), encoder)
        self._weights: Floats | None = None
        self._cache: tuple[Market, RuleRoutes] | None = None

    @classmethod
    def search_space(cls) -> dict[str, Param]:
        """Parameters of the choice model."""
        return {"l2": Param(100.0, 0.1, 500.0, log=True, unit="log-likelihood")}

    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        """Learn the weight of each type of path; see `Engine.fit`."""
        values = resolve(self.search_space(), params)
        prior = _prior(bool(self._rules.rules))
        problem = ranking_problem(snapshot, self._describer, PATHS.index("rule_all_share"), seed, max_queries=3000)
        self._weights = prior
        if problem is not None:
            self._weights = fit_weights(problem, _columns(problem.features), prior, float(values["l2"]))

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
        """``[q, n]`` in 0..1; see `Engine.score`."""
        if self._weights is None:
            raise NotFittedError(self.name)
        index, routes = vote_index(market), self._routes(market)
        features = path_features(self._rules, routes, market, index, offers, rows)
        utility = _columns(features) @ self._weights
        return np.asarray(1.0 / (1.0 + np.exp(_SHARPNESS - utility)), dtype=np.float32)

    def propose(self, market: Market, offers: OfferArrays, count: int) -> Rows:
        """Receivers in the sectors that rules lead to: the sectors themselves, and their companies, nearest first."""
        if not len(self._rules.rules):
            return np.zeros(0, dtype=np.intp)
        routes = self._routes(market)
        return proposed_rows(self._rules, routes, market, offers, count)

    def explain(self, market: Market, offers: OfferArrays, offer: int, row: int) -> list[Reason]:
        """The rules and precedents on the strongest paths; see `Engine.explain`."""
        if self._weights is None:
            raise NotFittedError(self.name)
        one = offers.take(np.asarray([offer], dtype=np.intp))
        return path_reasons(self._rules, market, one, row)

    def contributions(self, market: Market, offers: OfferArrays, offer: int, row: int) -> dict[str, float]:
        """Utility by type of path: they add up to the logit of the score (plus a constant)."""
        if self._weights is None:
            raise NotFittedError(self.name)
        index, routes = vote_index(market), self._routes(market)
        one = offers.take(np.asarray([offer], dtype=np.intp))
        features = path_features(self._rules, routes, market, index, one, np.asarray([row], dtype=np.intp))
        parts = (_columns(features) * self._weights)[0, 0].reshape(2, -1).sum(axis=0)
        return {name: float(part) for name, part in zip(PATHS, parts, strict=True) if part > 0}

    def save(self, folder: Path) -> None:
        """Write ``engine.json`` with the weights; the rules come with the package."""
        if self._weights is None:
            raise NotFittedError(self.name)
        weights = {name: float(weight) for name, weight in zip(_WEIGHTS, self._weights, strict=True)}
        write_about(folder, self.name, _FORMAT, weights=weights, use_rules=bool(self._rules.rules))

    @classmethod
    def load(cls, folder: Path, encoder: TextEncoder | None = None) -> KnowledgeGraphEngine:
        """Read what `save` wrote; see `Engine.load`."""
        about = read_about(folder, cls.name, _FORMAT)
        weights = numbers(folder, about, "weights", _WEIGHTS)
        engine = cls(encoder or SentenceModel(), use_rules=bool(about.get("use_rules", True)))
        engine._weights = np.asarray(weights, dtype=np.float32)
        return engine

    def _routes(self, market: Market) -> RuleRoutes:
        cached = self._cache
        if cached is None or cached[0] is not market:
            cached = (market, rule_routes(self._rules, market))
            self._cache = cached  # one assignment: threads may compute it twice, never see half of it
        return cached[1]

    def _describer(self, market: Market) -> Describer:
        index, routes = vote_index(market), rule_routes(self._rules, market)
        return lambda offers, rows: path_features(self._rules, routes, market, index, offers, rows)


def _columns(features: Floats) -> Floats:
    """What the choice model weighs: whether there is a path at all (logarithm), and how strong it is."""
    return np.concatenate([np.log1p(features / _FLOOR), features], axis=-1, dtype=np.float32)


def _prior(with_rules: bool) -> Floats:
    """Weights before anything was exchanged: what a facilitator would say counts."""
    given = {**(_RULE_PRIOR if with_rules else {}), **_PAST_PRIOR}
    return np.asarray([given.get(name, 0.0) for name in _WEIGHTS], dtype=np.float32)
