"""The matching engine: what a pair has in common, ranked by gradient-boosted trees.

The trees are learnt from what was exchanged before: LambdaRank-type boosting (Bruch et al. 2020, "An alternative cross
entropy loss for learning-to-rank", the ``rank_xendcg`` objective of LightGBM) over the features of `ism.data.features`.
Where too little was exchanged to learn from, the score is the similarity of the texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ism.data.features import FEATURES, need_similarity, pair_features, voted_receivers
from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.nearest import closest_needs
from ism.data.terms import term_fit
from ism.data.votes import vote_index
from ism.domain.engine import Reason, ReasonKind
from ism.domain.errors import EngineError, NotFittedError
from ism.engines.base import Engine, Param, ParamValue, Snapshot
from ism.engines.files import read_about, write_about
from ism.engines.params import resolve
from ism.engines.reasons import precedent_reasons
from ism.engines.training import Describer, RankingProblem, ranking_problem

if TYPE_CHECKING:
    import lightgbm

_FORMAT = 1
_LEAST_QUERIES = 30  # below, trees would learn noise
_HARDNESS = FEATURES.index("co_taken_near@receiver")


class MatchingEngine(Engine):
    """Learned ranker over text, codes, donor sector and place."""

    name = "matching"

    def __init__(self) -> None:
        self._trees: lightgbm.Booster | None = None
        self._fitted = False

    @classmethod
    def search_space(cls) -> dict[str, Param]:
        """Parameters of the boosting."""
        return {
            "rounds": Param(200, 20, 600, unit="trees"),
            "learning_rate": Param(0.05, 0.01, 0.2, log=True),
            "num_leaves": Param(15, 4, 63, unit="leaves"),
            "min_data_in_leaf": Param(50, 5, 200, unit="pairs"),
            "lambda_l2": Param(5.0, 0.1, 50.0, log=True),
            "feature_fraction": Param(0.4, 0.2, 1.0),
        }

    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        """Learn the ranker; see `Engine.fit`."""
        values = resolve(self.search_space(), params)
        problem = ranking_problem(snapshot, self._describer, _HARDNESS, seed)
        self._trees = None
        if problem is not None and len(problem.sizes) >= _LEAST_QUERIES:
            self._trees = _boost(problem, values, seed)
        self._fitted = True

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
        """``[q, n]`` in 0..1; see `Engine.score`."""
        if not self._fitted:
            raise NotFittedError(self.name)
        fit = term_fit(market, offers, rows).prod(axis=2)
        if self._trees is None:
            return np.asarray(np.clip(need_similarity(market, offers, rows), 0.0, 1.0) * fit, dtype=np.float32)
        features = pair_features(market, vote_index(market), offers, rows)
        raw = self._trees.predict(features.reshape(-1, len(FEATURES)), num_threads=1) if features.size else np.zeros(0)
        odds = np.exp(np.asarray(raw).reshape(features.shape[:2])) * fit  # terms scale the odds, whatever was learnt
        return np.asarray(odds / (1.0 + odds), dtype=np.float32)

    def propose(self, market: Market, offers: OfferArrays, count: int) -> Rows:
        """Receivers with the closest needs, and those whose precedents resemble the offer most."""
        home = market.receivers
        proposed = [home.need_owner[closest_needs(home, offers.vectors[0], count)]]
        if len(market.precedents):
            proposed.append(voted_receivers(market, vote_index(market), offers, count))
        return np.unique(np.concatenate(proposed))

    def explain(self, market: Market, offers: OfferArrays, offer: int, row: int) -> list[Reason]:
        """The closest precedents, the closest need and the distance, as far as they count for this pair."""
        if not self._fitted:
            raise NotFittedError(self.name)
        one = offers.take(np.asarray([offer], dtype=np.intp))
        reasons = [
            *precedent_reasons(market, one, row, self.name),
            *_need_reasons(market, one, row),
            *_term_reasons(market, one, row),
        ]
        return sorted(reasons, key=lambda reason: -reason.strength)

    def save(self, folder: Path) -> None:
        """Write ``engine.json`` and, where trees were learnt, ``trees.txt`` (LightGBM's text format)."""
        if not self._fitted:
            raise NotFittedError(self.name)
        folder.mkdir(parents=True, exist_ok=True)
        if self._trees is not None:
            (folder / "trees.txt").write_text(self._trees.model_to_string(), encoding="utf-8")
        write_about(folder, self.name, _FORMAT, trees=self._trees is not None, features=list(FEATURES))

    @classmethod
    def load(cls, folder: Path) -> MatchingEngine:
        """Read what `save` wrote; see `Engine.load`."""
        about = read_about(folder, cls.name, _FORMAT)
        if about.get("features") != list(FEATURES):
            raise EngineError(f"{folder}: the model knows other features than this version. Fit it again.")
        engine = cls()
        engine._fitted = True
        if about.get("trees"):
            import lightgbm  # noqa: PLC0415 - 1.3 s and 150 MB: only where trees are used

            try:
                engine._trees = lightgbm.Booster(model_str=(folder / "trees.txt").read_text(encoding="utf-8"))
            except (OSError, ValueError, lightgbm.basic.LightGBMError) as error:
                raise EngineError(
                    f"{folder / 'trees.txt'} cannot be read: {error}. Restore it or fit again."
                ) from error
        return engine

    @staticmethod
    def _describer(market: Market) -> Describer:
        index = vote_index(market)
        return lambda offers, rows: pair_features(market, index, offers, rows)


def _boost(problem: RankingProblem, values: Mapping[str, ParamValue], seed: int) -> lightgbm.Booster:
    import lightgbm  # noqa: PLC0415 - 1.3 s and 150 MB: only where trees are learnt

    settings = {
        "objective": "rank_xendcg",
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "max_bin": 127,
        "verbose": -1,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,  # threads that wait for each other cost more than they bring on a shared machine
        "seed": seed,
        **{name: value for name, value in values.items() if name != "rounds"},
    }
    data = lightgbm.Dataset(problem.features, label=problem.relevant.astype(np.int8), group=problem.sizes)
    return lightgbm.train(settings, data, num_boost_round=int(values["rounds"]))


_TERM_SENTENCES: dict[ReasonKind, str] = {
    "quantity": "The quantity on offer is far from what {name} asks for.",
    "price": "The price asked is above what {name} would pay.",
    "hazard": "{name} does not take hazardous waste, and the offer is hazardous.",
}
_POOR_TERM = 0.7  # a fit below this is worth a sentence


def _term_reasons(market: Market, one: OfferArrays, row: int) -> list[Reason]:
    """What speaks against the pair: terms of the receiver's closest need that the offer does not meet."""
    fit = term_fit(market, one, np.asarray([row], dtype=np.intp))[0, 0]
    return [
        Reason(
            sentence.format(name=market.receivers.names[row]), kind, engine=MatchingEngine.name, detail={"fit": value}
        )
        for (kind, sentence), value in zip(_TERM_SENTENCES.items(), fit.tolist(), strict=True)
        if value < _POOR_TERM
    ]


def _need_reasons(market: Market, one: OfferArrays, row: int) -> list[Reason]:
    home = market.receivers
    asked = np.flatnonzero(home.need_owner == row)
    if not len(asked) or home.kinds[row] == "sector":
        return []
    cosine = home.needs[asked] @ one.vectors[0]
    best = int(np.argmax(cosine))
    if cosine[best] < 0.45:
        return []
    text = f"{home.names[row]} asks for “{home.need_texts[asked[best]]}”, which is close to what is offered."
    return [Reason(text, "similarity", engine=MatchingEngine.name, strength=float(cosine[best]))]
