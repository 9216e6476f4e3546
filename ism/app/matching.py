"""The main job: from an offer to ranked receivers with reasons."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import numpy as np

from ism.app.deployed import Arm, Deployed, DeployedModels, Watch
from ism.app.fitting import FittingTask, fit_apart, fitting_alone
from ism.app.later import FIRST, LaterEngines
from ism.app.pairing import around, with_company
from ism.app.remembered import Remembered
from ism.app.sureness import sureness
from ism.app.telling import hazard_of, reasons_for
from ism.data.build import BuiltMarket, read_market
from ism.data.codes import nace
from ism.data.impact import estimate
from ism.data.market import OfferArrays, Rows, distance_km, offer_arrays
from ism.data.text import TextEncoder
from ism.domain.engine import FusionModel, Reason
from ism.domain.errors import EngineError, InvalidInputError
from ism.domain.market import Company, Listing, Offer, Recommendation
from ism.domain.match import Match, MatchedReceiver, MatchFilters, MatchResult
from ism.engines import catalog
from ism.engines.base import Snapshot
from ism.fusion.conformal import Conformal
from ism.fusion.fit import FittedFusion, FusedScores
from ism.fusion.methods import DEFAULT_MODEL, method_of
from ism.fusion.registry import FusionRegistry
from ism.fusion.retrieve import retrieve
from ism.fusion.store import load_fusion, versions
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS
from ism.monitoring.requests import EngineTimes
from ism.retraining.opening import registry_of
from ism.settings import Settings
from ism.storage import Store

SECTOR_YIELDS = 0.5  # a sector is not shown beside a listed company of it that scores at least this part of its score
ALONE = "matching"  # answers where fusion is switched off
SWITCHED_OFF = f"Fusion is switched off; {ALONE} answers alone."
_PROBE = Offer(material="coal fly ash", ewc="10 01 02")  # what a health check asks about
_PROBED = 20  # receivers that it scores
ABSENT = "No model of this engine is installed; the other engines share its weight."


@dataclass(frozen=True)
class _Serving:
    """Market and models that answer together; replaced as a whole."""

    built: BuiltMarket
    deployed: Deployed
    read_on: date  # needs run out from day to day
    fusion_generation: int  # of the models, the active one, and adaptive weights
    conformal: Conformal | None = None  # of the active model
    arm: Arm | None = None  # who answers this request; the champion when None

    @property
    def fusion(self) -> FittedFusion:
        """The models that answer."""
        return (self.arm or self.deployed.champion).fusion

    @property
    def versions(self) -> dict[str, str]:
        """Their versions."""
        return (self.arm or self.deployed.champion).versions

    def answering(self, company_id: str | None) -> _Serving:
        """The same with the models that answer a company."""
        return replace(self, arm=self.deployed.arm(company_id))


@dataclass(frozen=True, eq=False)
class _Ranking:
    """An answer, but for what tells one request from another.

    Attributes:
        rows: receivers that were compared.
        matches: without identifiers.
        engine_scores: of each match.
    """

    offers: OfferArrays
    rows: Rows
    matches: tuple[Match, ...]
    engine_scores: tuple[dict[str, float], ...]
    notes: tuple[str, ...]


class MatchService:
    """Ranks receivers for offers and logs what it showed.

    Threads: every method may be called from any thread; an answer comes from one generation of market and models.

    Args:
        store: the market, and the log of what was shown.
        encoder: turns texts into vectors.
        model_folder: holds the fitted engines; they are fitted on the market when it is empty.
        settings: of the application.
        staged: whether engines that learn quickly answer while the others are still trained; else all are waited for.
        clock: says what time it is, in UTC.

    Attributes:
        watch: what is seen of a challenger.
        engine_times: how long each engine takes to score an offer.
    """

    def __init__(
        self,
        store: Store,
        encoder: TextEncoder,
        model_folder: Path,
        settings: Settings,
        staged: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._store, self._encoder, self._settings = store, encoder, settings
        self._folder = model_folder / "serving"
        self._models = FusionRegistry(store)
        self._names = _weighed() if settings.fusion_enabled else [ALONE]
        self._promoted = DeployedModels(registry_of(store, settings), encoder, self._names)
        self._base: Arm | None = None
        self.watch, self.engine_times = Watch(), EngineTimes()
        self._remembered = Remembered[_Ranking](settings.remembered_answers)
        self._refreshing = threading.Lock()
        self._serving: _Serving | None = None
        self._staged = staged
        self._closing = threading.Event()
        self._later: LaterEngines | None = None

    def refresh(self) -> None:
        """Read the market again if it changed; on the first call also load the engines, or fit them."""
        self.follow()
        serving = self._serving
        if serving is not None and self._fresh(serving):
            return
        with self._refreshing:
            serving = self._serving
            if serving is not None and self._fresh(serving):
                return  # another thread was faster
            generation = self._models.generation()
            built, read_on = self._market_of(serving)
            if serving is None:
                self._base = Arm(self._fusion(built), versions(self._folder))
                for model in self._base.fusion.models:
                    self._models.add(model)
                serving = _Serving(built, self._promoted.load(self._base), read_on, generation)
            first = self._serving is None
            self._serving = self._with_active(replace(serving, built=built, read_on=read_on), generation)
            lacks = first and self._base is not None and bool(self._lacking(self._base.fusion))
            if lacks and not self._closing.is_set():
                task = self._task(built, self._names, background=True)
                self._later = LaterEngines(task, self._settings.fit_seconds, self._install, self._fitted_all)
                self._later.start()

    def match(self, offer: Offer, top: int = 20, filters: MatchFilters | None = None) -> MatchResult:
        """The ``top`` receivers for an offer, best first; logged before it is returned.

        Raises:
            InvalidInputError: ``top`` is not in 1..100.
        """
        if not 1 <= top <= 100:
            raise InvalidInputError("top", top, "Give a whole number from 1 to 100.")
        current, filters = self._current(), filters or MatchFilters()
        serving = current.answering(offer.company_id)
        question = (offer, top, filters, *serving.versions.items())
        ranking = self._remembered.get(current, question)
        if ranking is None:
            ranking = self._ranked(serving, offer, top, filters)
            self._remembered.keep(current, question, ranking)
        result = self._told(serving, offer, ranking)
        self.watch.score_unseen(serving.deployed, serving.built.market, ranking.offers, ranking.rows)
        return result

    def match_pair(self, buyer: Company, needs: Sequence[Listing], offers: Sequence[Offer]) -> MatchResult:
        """How well one buyer fits what a seller offers: the best offer, with the buyer's rank among all receivers.

        Args:
            buyer: listed or not.
            needs: what a buyer that is not listed asks for.
            offers: what the seller offers.

        Raises:
            InvalidInputError: the seller offers nothing.
        """
        if not offers:
            raise InvalidInputError("seller.listings", [], "List at least one offer of the seller.")
        serving = self._current()
        arrays = [offer_arrays([offer], self._encoder) for offer in offers]
        proposed = [
            _allowed(self._proposed(serving, each), serving.built, offer, MatchFilters())
            for offer, each in zip(offers, arrays, strict=True)
        ]
        serving, candidates = self._with_buyer(serving, buyer, needs, proposed)
        row = serving.built.row_of[buyer.company_id]
        answers = []
        for offer, asked, others in zip(offers, arrays, candidates, strict=True):
            rows = np.union1d(others, [row]).astype(np.intp)
            scores = serving.fusion.score(serving.built.market, asked, rows)
            place = int(np.searchsorted(rows, row))
            rank = 1 + int((scores.final[0] > scores.final[0, place]).sum())
            answers.append((float(scores.final[0, place]), offer, asked, rows, scores, place, rank))
        _, offer, asked, rows, scores, place, rank = max(answers, key=lambda answer: answer[0])
        note = f"{buyer.name} would rank {rank} of {len(rows)} receivers compared for “{offer.material}”."
        return self._told(serving, offer, _ranking(serving, offer, asked, rows, scores, [place], (note,)))

    @staticmethod
    def _proposed(serving: _Serving, offers: OfferArrays) -> Rows:
        return retrieve(serving.built.market, offers, serving.fusion.engines.values())

    def _with_buyer(
        self, serving: _Serving, buyer: Company, needs: Sequence[Listing], proposed: Sequence[Rows]
    ) -> tuple[_Serving, list[Rows]]:
        """Where a buyer can be compared with the receivers proposed for each offer, and the rows of these there."""
        if buyer.company_id in serving.built.row_of:
            return serving, list(proposed)
        everybody = np.unique(np.concatenate(proposed)).astype(np.intp)
        small, place = around(serving.built, everybody)
        built = with_company(small, buyer, needs, self._encoder)
        return replace(serving, built=built), [place[np.searchsorted(everybody, rows)] for rows in proposed]

    def probe(self) -> str:
        """Score an offer as a request would be, without logging it; what was found, for people.

        Raises:
            EngineError: a score is no probability.
        """
        serving = self._serving
        if serving is None:
            raise EngineError("The market has not been read yet.")
        offers = offer_arrays([_PROBE], self._encoder)
        rows = self._proposed(serving, offers)[:_PROBED]
        if not len(rows):
            return "The market is empty."
        final = serving.fusion.score(serving.built.market, offers, rows).final
        if not ((final >= 0) & (final <= 1)).all():  # also where one is not a number
            raise EngineError(f"Scores of {_PROBE.material} are no probabilities. Train or roll back the engines.")
        return f"{', '.join(serving.fusion.engines)} scored {len(rows)} receivers."

    def follow(self) -> None:
        """Swap in what was promoted, also by another process, in the background; does nothing before `refresh`."""
        serving, base = self._serving, self._base
        if serving is not None and base is not None:
            self._promoted.follow(serving.deployed, base, partial(self._swap, base))

    def close(self) -> None:
        """End the threads, and what is still being trained; calling it again does nothing."""
        self._closing.set()
        if self._later is not None:
            self._later.close()
        self.watch.close()

    def status(self) -> dict[str, dict[str, str]]:
        """State of each component: ``ok``, ``degraded`` or ``down``, with a detail for people."""
        serving = self._serving
        if serving is None:
            return {"matching": {"state": "down", "detail": "The market has not been read yet."}}
        size = len(serving.built.market.receivers)
        parts = {
            "market": {"state": "ok", "detail": f"{size} receivers, {len(serving.built.market.precedents)} precedents"}
        }
        for name in serving.fusion.weights:
            present = name in serving.fusion.engines
            parts[f"engine:{name}"] = {
                "state": "ok" if present else "degraded" if name in self._names else "disabled",
                "detail": _detail(serving, name) if present else self._absence(name),
            }
        return parts

    def _swap(self, base: Arm, deployed: Deployed) -> None:
        with self._refreshing:
            if self._serving is not None and self._base is base:  # a newer base has looked at the registry itself
                serving = replace(self._serving, deployed=deployed)
                self._serving = self._with_active(serving, self._models.generation())

    def serving(self) -> tuple[BuiltMarket, FittedFusion]:
        """Market and engines that answer now."""
        serving = self._current()
        return serving.built, serving.fusion

    def _fresh(self, serving: _Serving) -> bool:
        return self._knows_market(serving) and serving.fusion_generation == self._models.generation()

    def _knows_market(self, serving: _Serving) -> bool:
        return serving.built.market.generation == self._store.generation() and serving.read_on == self._today()

    def _current(self) -> _Serving:
        self.refresh()
        if self._serving is None:  # refresh either sets it or raises
            raise EngineError("The matching service is not ready. Call refresh() first.")
        return self._serving

    def _today(self) -> date:
        return self._clock().date()

    def _market_of(self, serving: _Serving | None) -> tuple[BuiltMarket, date]:
        """The market; read again only where it changed, as fusion weights move with every outcome."""
        if serving is not None and self._knows_market(serving):
            return serving.built, serving.read_on
        today = self._today()
        return read_market(self._store, self._encoder, today), today

    def _fusion(self, built: BuiltMarket) -> FittedFusion:
        """What the folder holds; fitted first where that is nothing, or too little and all are waited for."""
        limit = self._settings.fit_seconds
        names = [name for name in self._names if name in FIRST] if self._staged else self._names
        fusion = self._fitted(names)
        if fusion is not None:
            return fusion
        with fitting_alone(self._folder, limit, self._closing):
            fusion = self._fitted(names)  # another process on the same folder was faster
            if fusion is not None:
                return fusion
            if not fit_apart(self._task(built, names), limit, self._closing):
                raise EngineError("The engines were not trained to the end: this process stops.")
            return self._load()

    def _fitted(self, names: Sequence[str]) -> FittedFusion | None:
        """What the folder holds, where that is enough to begin with."""
        fusion = self._load() if (self._folder / "fusion.json").is_file() else None
        enough = fusion is not None and (self._staged or not set(names) - set(fusion.engines))
        return fusion if enough else None

    def _fitted_all(self) -> bool:
        """Whether another process on the same folder has fitted what was lacking."""
        return not self._lacking(self._load())

    def _task(self, built: BuiltMarket, names: Sequence[str], background: bool = False) -> FittingTask:
        return FittingTask(
            Snapshot(built.market, built.groups),
            tuple(names),
            self._encoder,
            self._settings.device,
            self._folder,
            self._settings.engine_policies(),
            whole=len(names) == len(_weighed()),
            background=background,
        )

    def _load(self) -> FittedFusion:
        loaders = {name: partial(catalog.load, name, encoder=self._encoder) for name in self._names}
        return load_fusion(self._folder, loaders)

    def _lacking(self, fusion: FittedFusion) -> set[str]:
        return set(self._names) - set(fusion.engines)

    def _absence(self, name: str) -> str:
        if not self._settings.fusion_enabled:
            return SWITCHED_OFF
        return self._later.reason() if self._later is not None and name in self._names else ABSENT

    def _install(self) -> None:
        """Let the engines of the folder answer, from one request to the next."""
        with self._refreshing:
            if self._serving is None or self._closing.is_set():
                return
            generation = self._models.generation()
            self._base = Arm(self._load(), versions(self._folder))
            for model in self._base.fusion.models:
                self._models.add(model)
            serving = replace(self._serving, deployed=self._promoted.load(self._base))
            self._serving = self._with_active(serving, generation)

    def _with_active(self, serving: _Serving, generation: int) -> _Serving:
        """The same, fused by the model that is active."""
        fuses, deployed = self._settings.fusion_enabled, serving.deployed
        model = self._models.active() if fuses else self._models.get(DEFAULT_MODEL)
        trial = None if deployed.trial is None else _fused_by(model, deployed.trial)
        return replace(
            serving,
            deployed=replace(deployed, champion=_fused_by(model, deployed.champion), trial=trial),
            fusion_generation=generation,
            conformal=serving.fusion.conformal.get(model.model_id) if fuses else None,
        )

    def _ranked(self, serving: _Serving, offer: Offer, top: int, filters: MatchFilters) -> _Ranking:
        offers = offer_arrays([offer], self._encoder)
        rows = _allowed(self._proposed(serving, offers), serving.built, offer, filters)
        if not len(rows):
            nothing = np.zeros((1, 0), np.float32)
            scores = FusedScores(final=nothing, confidence=nothing, contributions={}, probabilities={})
            note = "No receiver passes the filters." if serving.built.market.receivers.ids else "The market is empty."
            return _ranking(serving, offer, offers, rows, scores, [], (note,))
        scores = serving.fusion.score(serving.built.market, offers, rows)
        self.engine_times.add(scores.seconds)
        sure = sureness(serving.conformal, serving.built.market, rows, scores.final[0])
        places = _shown(scores.final[0], rows, serving.built, top)
        return _ranking(serving, offer, offers, rows, scores, places, sure)

    def _told(self, serving: _Serving, offer: Offer, ranking: _Ranking) -> MatchResult:
        """The answer to one request; logged before it is returned."""
        request, now = uuid.uuid4().hex, self._clock()
        matches = tuple(replace(match, recommendation_id=f"{request}-{match.rank}") for match in ranking.matches)
        missing = {name: self._absence(name) for name in serving.fusion.weights if name not in serving.fusion.engines}
        result = MatchResult(request, offer, matches, missing, serving.versions, now, ranking.notes)
        self._log(result, ranking.engine_scores)
        return result

    def _log(self, result: MatchResult, engine_scores: Sequence[dict[str, float]]) -> None:
        offer = {name: value for name in Offer.__slots__ if (value := getattr(result.offer, name)) is not None}
        offer = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in offer.items()}
        logged = [
            Recommendation(
                recommendation_id=match.recommendation_id,
                request_id=result.request_id,
                rank=match.rank,
                receiver_kind=match.receiver.kind,
                receiver_id=match.receiver.id,
                final_score=match.final_score,
                confidence=match.confidence,
                propensity=1.0,  # the policy is deterministic: it could have shown nothing else at this rank
                engine_scores=scores,
                model_versions=result.model_versions,
                offer=offer,
                created_at=result.created_at,
            )
            for match, scores in zip(result.matches, engine_scores, strict=True)
        ]
        if logged:
            self._store.log_recommendations(logged)


def _fused_by(model: FusionModel, arm: Arm) -> Arm:
    """The same engines, joined by a fusion model; the default one fuses as the folder says."""
    method = None if model.model_id == DEFAULT_MODEL else method_of(model)
    stamp = {"fusion_model": f"{model.model_id} {model.version}"}
    return Arm(replace(arm.fusion, method=method), {**arm.versions, **stamp})


def _detail(serving: _Serving, name: str) -> str:
    summary = serving.fusion.engines[name].summary()
    return f"version {serving.versions[name]}" + (f"; {summary}" if summary else "")


def _weighed() -> list[str]:
    """Engines that take part; a guest without a weight says nothing."""
    return [name for name in catalog.names() if name in DEFAULT_WEIGHTS]


def _allowed(rows: Rows, built: BuiltMarket, offer: Offer, filters: MatchFilters) -> Rows:
    """Rows that the filters let through; never the offering company itself."""
    home = built.market.receivers
    keep = np.ones(len(rows), dtype=bool)
    if offer.company_id is not None:
        keep &= rows != built.row_of.get(offer.company_id, -1)
    if filters.kind is not None:
        keep &= np.asarray([home.kinds[row] == filters.kind for row in rows], dtype=bool)
    if filters.countries is not None:
        keep &= np.asarray([home.countries[row] in filters.countries for row in rows], dtype=bool)
    if filters.nace is not None:
        digits = filters.nace.replace(".", "")
        keep &= home.nace[rows, len(digits) - 2] == int(digits)
    if filters.max_distance_km is not None:
        if offer.latitude is None or offer.longitude is None:
            remedy = "Give the offer's latitude and longitude too."
            raise InvalidInputError("filters.max_distance_km", filters.max_distance_km, remedy)
        away = distance_km(offer.latitude, offer.longitude, home.latitude[rows], home.longitude[rows])
        keep &= np.nan_to_num(away, nan=np.inf) <= filters.max_distance_km
    return rows[keep]


def _shown(final: np.ndarray[tuple[int], np.dtype[np.float32]], rows: Rows, built: BuiltMarket, top: int) -> list[int]:
    """Places of the best ``top``: companies, and sectors where no listed company of theirs does nearly as well."""
    home = built.market.receivers
    best: dict[int, float] = {}
    for place, row in enumerate(rows):
        if home.kinds[row] == "company" and home.nace[row, 2] >= 0:
            code = int(home.nace[row, 2])
            best[code] = max(best.get(code, 0.0), float(final[place]))
    shown: list[int] = []
    for place in np.argsort(-final, kind="stable").tolist():
        row = rows[place]
        if home.kinds[row] == "sector" and best.get(int(home.nace[row, 2]), 0.0) >= SECTOR_YIELDS * final[place]:
            continue
        shown.append(place)
        if len(shown) == top:
            break
    return shown


def _ranking(  # noqa: PLR0913, PLR0917 - three call sites; a class for it would only carry these names
    serving: _Serving,
    offer: Offer,
    offers: OfferArrays,
    rows: Rows,
    scores: FusedScores,
    places: Sequence[int],
    notes: tuple[str, ...],
) -> _Ranking:
    reasons = reasons_for(serving.fusion.engines, serving.built, offers, rows[places])
    matches = tuple(
        _match(serving, offer, rows, scores, place, rank, why)
        for rank, (place, why) in enumerate(zip(places, reasons, strict=True), start=1)
    )
    engine_scores = tuple(
        {name: float(values[0, place]) for name, values in scores.probabilities.items()} for place in places
    )
    return _Ranking(offers, rows, matches, engine_scores, (*notes, *_notes(offer)))


def _match(  # noqa: PLR0913, PLR0917 - gathers one row of many tables
    serving: _Serving,
    offer: Offer,
    rows: Rows,
    scores: FusedScores,
    place: int,
    rank: int,
    reasons: tuple[Reason, ...],
) -> Match:
    receiver = _receiver(serving.built, int(rows[place]))
    rule = next((reason.detail for reason in reasons if "replaces" in reason.detail), None)  # a rule that is told whole
    distance = _distance(offer, receiver)
    return Match(
        recommendation_id="",  # each request that is told of it has its own
        rank=rank,
        receiver=receiver,
        final_score=float(scores.final[0, place]),
        confidence=float(scores.confidence[0, place]),
        engine_contributions={name: float(values[0, place]) for name, values in scores.contributions.items()},
        reasons=reasons,
        distance_km=distance,
        quantity_t_per_year=offer.quantity_t_per_year,
        estimate=estimate(
            material_text=offer.text,
            replaces=rule["replaces"] if rule else None,
            ewc=offer.ewc,
            hazardous=offer.hazardous,
            distance_km=distance,
            price_eur_per_t=offer.price_eur_per_t,
            function=rule["function"] if rule else None,
        ),
        hazard=hazard_of(offer),
    )


def _receiver(built: BuiltMarket, row: int) -> MatchedReceiver:
    home, company = built.market.receivers, built.companies[row]
    code = company.nace if company else home.ids[row].partition(":")[2]
    return MatchedReceiver(
        kind=home.kinds[row],
        id=home.ids[row],
        name=home.names[row],
        nace=code,
        nace_title=nace.title(code) if code else "",
        country=company.country if company else None,
        latitude=company.latitude if company else None,
        longitude=company.longitude if company else None,
    )


def _distance(offer: Offer, receiver: MatchedReceiver) -> float | None:
    if offer.latitude is None or offer.longitude is None or receiver.latitude is None or receiver.longitude is None:
        return None
    there = np.asarray([receiver.latitude], np.float32), np.asarray([receiver.longitude], np.float32)
    return float(distance_km(offer.latitude, offer.longitude, *there)[0])


def _notes(offer: Offer) -> tuple[str, ...]:
    notes = []
    if offer.latitude is None or offer.longitude is None:
        notes.append("The offer has no place, so distances are not known and do not count.")
    if offer.ewc is None:
        notes.append("The offer has no List-of-Waste code; with one, rules and precedents can be found by code.")
    return tuple(notes)
