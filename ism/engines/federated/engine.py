"""The federated engine: trained across sites, served from the learned parameters alone."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, Rows, top_of_kinds
from ism.data.text import SentenceModel, TextEncoder
from ism.domain.engine import Reason
from ism.domain.errors import EngineError, NotFittedError
from ism.engines.base import Engine, Param, ParamValue, Snapshot
from ism.engines.federated.columns import OFFER_COLUMNS, PAIR_COLUMNS, PAIR_GROUPS, offer_columns, pair_columns
from ism.engines.federated.model import FACTORS, PAIR, Bins, Parameters, Places, bins_of_market
from ism.engines.federated.parts import part_reasons, utility_parts
from ism.engines.federated.plan import SPACE, Plan
from ism.engines.federated.privacy import NO_NOISE, ledger
from ism.engines.federated.sites import SiteRule, by_donor, split
from ism.engines.files import read_about, write_about
from ism.engines.params import resolve
from ism.engines.rules import RuleBook, rule_book

if TYPE_CHECKING:
    from ism.engines.federated.server import Trained

_FORMAT = 2
_FILE = "parameters.safetensors"
_CENTRE = 6.0  # utility at which a pair scores one half
_SITES = Param(8, 1, 64, unit="sites that donors are spread over where nothing else is said")
_TUNED = ("rounds", "server_rate", "l2", "clip")
_EVERYTHING = {**SPACE, "sites": _SITES}


class FederatedEngine(Engine):
    """A choice model whose training data stay where they are.

    `fit` simulates the sites in this process, with the same Flower apps that real sites run (docs/federated.md); `of`
    makes an engine from what real sites learned.

    Args:
        site_rule: the site of each precedent of a snapshot; donors are spread over ``sites`` sites by default.
        policy: parameters that take the place of the defaults (`plan.SPACE` and ``sites``), such as ``epsilon``.
        encoder: gives the curated rules' names their vectors; must be the one that the market was built with. Without
            one the rules have no say.
        use_rules: whether the rules have a say.
    """

    name = "federated"

    def __init__(
        self,
        site_rule: SiteRule | None = None,
        policy: Mapping[str, ParamValue] | None = None,
        encoder: TextEncoder | None = None,
        use_rules: bool = True,
    ) -> None:
        self._rules = rule_book(encoder) if encoder is not None and use_rules else None
        self._site_rule, self._policy = site_rule, dict(policy or {})
        self._bins = Bins(())
        self._parameters: Parameters | None = None
        self._report: dict[str, Any] = {}
        self._places: weakref.WeakKeyDictionary[Market, Places] = weakref.WeakKeyDictionary()

    @classmethod
    def search_space(cls) -> dict[str, Param]:
        """What a search may tune; `fit` takes every name of `plan.SPACE` and ``sites``, which are decided by people."""
        return {name: SPACE[name] for name in _TUNED}

    @classmethod
    def of(cls, trained: Trained, rules: RuleBook | None = None) -> FederatedEngine:
        """An engine with the parameters of a finished federation, and the rules that it used."""
        engine = cls()
        engine._rules = rules
        engine._bins, engine._parameters, engine._report = trained.bins, trained.parameters, trained.report()
        return engine

    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        """Train over simulated sites; see `Engine.fit`."""
        given = resolve(_EVERYTHING, {**self._policy, **(params or {})})
        count = int(given.pop("sites"))
        plan = Plan.of(given)
        bins = bins_of_market(snapshot.market)
        self._places = weakref.WeakKeyDictionary()  # of the bins of the fit before
        if not len(snapshot.market.precedents):
            nothing = {"plan": plan.as_config(), "privacy": ledger(0.0, plan.clip, 0, 0.0).as_json(), "rounds": []}
            self._bins, self._parameters, self._report = bins, Parameters.initial(bins), nothing
            return
        from ism.engines.federated.training import train_in_process  # noqa: PLC0415 - Flower only where it trains

        site_of = self._site_rule(snapshot) if self._site_rule else by_donor(snapshot, count)
        trained = train_in_process(split(snapshot, site_of), bins, plan, seed, self._rules)
        self._bins, self._parameters, self._report = bins, trained.parameters, trained.report()

    @property
    def report(self) -> dict[str, Any]:
        """``plan``, ``privacy`` (the ledger) and ``rounds`` of the training."""
        return self._report

    def summary(self) -> str:
        """How it was trained and what that guarantees."""
        rounds, privacy = self._report.get("rounds", []), self._report.get("privacy", {})
        if not rounds:
            return "nothing was exchanged yet: prior weights only"
        left_out = sorted({name for each in rounds for name in each["left_out"]})
        text = f"{len(rounds[-1]['used'])} sites, {len(rounds)} rounds of {self._report['plan']['strategy']}"
        text += f", left out: {', '.join(left_out[:5])}" if left_out else ""
        if privacy["epsilon"] is None:
            return f"{text}. {NO_NOISE}"
        return f"{text}; epsilon {privacy['epsilon']:.2f}, delta {privacy['delta']:g} for {privacy['unit']}"

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
        """``[q, n]`` in 0..1; see `Engine.score`."""
        learned = self._learned()
        rows = np.arange(len(market.receivers), dtype=np.intp) if rows is None else rows
        places = self._places_of(market)
        distinct, back = np.unique(places.of[rows], return_inverse=True)
        utility = (offer_columns(offers) @ learned.of_receivers(places.distinct[distinct]).T)[:, back]
        utility = utility + pair_columns(market, offers, rows) @ learned.pair
        if self._rules is not None:
            utility += self._rules.at(market).worth(offers, learned.pair[PAIR_GROUPS["rule"]], rows)
        return np.asarray(1.0 / (1.0 + np.exp(_CENTRE - utility)), dtype=np.float32)

    def propose(self, market: Market, offers: OfferArrays, count: int) -> Rows:
        """Companies and sectors whose factors fit a single offer best, wherever they are."""
        learned, places = self._learned(), self._places_of(market)
        if not len(self._bins.names):
            return np.zeros(0, dtype=np.intp)
        by_bin = np.append(learned.factors @ offer_columns(offers)[0], np.float32(0.0))
        worth = by_bin[places.distinct].sum(axis=1)[places.of]
        if self._rules is not None:
            worth = worth + self._rules.at(market).worth(offers, learned.pair[PAIR_GROUPS["rule"]])[0]
        return top_of_kinds(market.receivers, worth, count)

    def explain(self, market: Market, offers: OfferArrays, offer: int, row: int) -> list[Reason]:
        """The parts of the utility that speak for the pair, in words; see `Engine.explain`."""
        return self.explain_all(market, offers, offer, np.asarray([row], dtype=np.intp))[0]

    def explain_all(self, market: Market, offers: OfferArrays, offer: int, rows: Rows) -> list[list[Reason]]:
        """The columns of all pairs at once; see `explain`."""
        one = offers.take(np.asarray([offer], dtype=np.intp))
        parts = self._parts(market, one, rows)
        return [part_reasons(market, one, row, mine) for row, mine in zip(rows.tolist(), parts, strict=True)]

    def contributions(self, market: Market, offers: OfferArrays, offer: int, row: int) -> dict[str, float]:
        """Parts of the utility: they add up to the logit of the score (plus a constant)."""
        one = offers.take(np.asarray([offer], dtype=np.intp))
        return self._parts(market, one, np.asarray([row], dtype=np.intp))[0]

    def _parts(self, market: Market, one: OfferArrays, rows: Rows) -> list[dict[str, float]]:
        learned, places = self._learned(), self._places_of(market)
        offer = offer_columns(one)[0] * learned.of_receivers(places.distinct[places.of[rows]])
        pairs = pair_columns(market, one, rows, self._rules)[0] * learned.pair
        return [utility_parts(*columns) for columns in zip(offer, pairs, strict=True)]

    def save(self, folder: Path) -> None:
        """Write ``engine.json`` (bins, plan, privacy ledger, reports of all rounds) and ``parameters.safetensors``."""
        from safetensors.numpy import save_file  # noqa: PLC0415 - only where something is stored

        learned = self._learned()
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(array) for name, array in learned.arrays().items()}, folder / _FILE)
        write_about(
            folder,
            self.name,
            _FORMAT,
            bins=list(self._bins.names),
            report=self._report,
            use_rules=self._rules is not None,
        )

    @classmethod
    def load(cls, folder: Path, encoder: TextEncoder | None = None) -> FederatedEngine:
        """Read what `save` wrote; see `Engine.load`."""
        from safetensors.numpy import load_file  # noqa: PLC0415 - only where something is stored

        about = read_about(folder, cls.name, _FORMAT)
        try:
            arrays = load_file(folder / _FILE)
            bins, report = Bins(tuple(about["bins"])), dict(about["report"])
            shapes = {name: array.shape for name, array in arrays.items()}
        except Exception as error:  # safetensors has errors of its own, without a common root
            raise EngineError(f"{folder / _FILE} cannot be read: {error}. Restore it or fit again.") from error
        if shapes != {FACTORS: (len(bins.names), OFFER_COLUMNS), PAIR: (PAIR_COLUMNS,)}:
            raise EngineError(f"{folder}: the model has other columns than this version. Fit it again.")
        engine = cls(encoder=(encoder or SentenceModel()) if about.get("use_rules") else None)
        engine._bins, engine._parameters, engine._report = bins, Parameters.of(arrays), report
        return engine

    def _learned(self) -> Parameters:
        if self._parameters is None:
            raise NotFittedError(self.name)
        return self._parameters

    def _places_of(self, market: Market) -> Places:
        """Bins of all receivers of a market, found once for each market."""
        places = self._places.get(market)
        if places is None:
            places = self._places[market] = Places.among(self._bins, market.receivers)
        return places
