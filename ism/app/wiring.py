"""The only place where parts meet."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from ism.app.auth import Auth
from ism.domain.errors import ConflictError, EngineError, InvalidInputError, IsmError
from ism.domain.market import Company, Listing, Offer
from ism.domain.match import MatchFilters, MatchResult
from ism.feedback.arrival import utc_now
from ism.feedback.orchestrator import FUSION, AIFeedbackOrchestrator
from ism.settings import Settings
from ism.storage import DEFAULT_DATASET, Store, open_store
from ism.storage.lead import SOLE, Lead, Leader, SoleLead

if TYPE_CHECKING:
    from ism.app.backups import BackupService
    from ism.app.marketplace.connector import MarketplaceConnector
    from ism.app.monitoring import Monitoring
    from ism.app.narrative import Narrator
    from ism.app.retraining import Retraining
    from ism.app.supabase import SupabaseTokens
    from ism.app.tuning import Tuning
    from ism.data.build import BuiltMarket
    from ism.data.imports.importer import ImportReport
    from ism.data.imports.limits import Limits
    from ism.data.imports.templates import Kind, Value
    from ism.data.text import CachedEncoder, TextEncoder
    from ism.domain.engine import FusionModel
    from ism.domain.feedback import RetrainingRequest
    from ism.domain.retraining import GateLook
    from ism.feedback.loop import FeedbackLoop
    from ism.fusion.fit import FittedFusion
    from ism.fusion.layer import AIFusionLayer

States = dict[str, dict[str, str]]

_log = logging.getLogger("ism")


class Matcher(Protocol):
    """What the application asks of `ism.app.matching.MatchService`."""

    def refresh(self) -> None:
        """Load what is needed to answer; `match` follows the store by itself."""
        ...

    def match(self, offer: Offer, top: int = 20, filters: MatchFilters | None = None) -> MatchResult:
        """Ranked receivers of an offer."""
        ...

    def match_pair(self, buyer: Company, needs: Sequence[Listing], offers: Sequence[Offer]) -> MatchResult:
        """How well one buyer fits."""
        ...

    def serving(self) -> tuple[BuiltMarket, FittedFusion]:
        """Market and engines that answer now."""
        ...

    def status(self) -> States:
        """Component -> ``state`` (``ok``, ``degraded``, ``down``) and ``detail``."""
        ...


MakeMatcher = Callable[[Store, "TextEncoder", Path, Settings], Matcher]


def unsupervised(name: str) -> None:
    """Refuse to begin a component again where nobody tends any."""
    raise ConflictError(f"{name}: no supervisor tends it here. Start the system with `ism serve`.")


class Application:
    """Everything that runs in one process; threads may share it.

    Args:
        settings: every knob.
        store: is closed with the application.
        encoder: is closed with the application.
        make_matcher: builds the matching service; called once, by `warm_up`.
        clock: says what time it is, in UTC.

    Attributes:
        auth: who may call.
        feedback: takes in what happened after a match.
        when_warm: called after `try_warm_up` has made everything ready.
        supervised: states of what a supervisor tends, as `components` tells them.
        restart: has it begin a component again; errors as in `Supervisor.restart`.
        lead: whether this process does what must happen once in the background; see `begin`.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        encoder: CachedEncoder,
        make_matcher: MakeMatcher,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings, self.store, self.encoder = settings, store, encoder
        self.auth = Auth(store, settings.gnn_api_key.get_secret_value() if settings.gnn_api_key else None)
        self.lead: Lead | SoleLead = SOLE
        if settings.database_url is not None:
            self.lead = Lead(store.leases, settings.lead_lease_s)
        self.feedback = AIFeedbackOrchestrator(store, settings, encoder, clock)
        self.feedback.lead = self.lead
        self.feedback.follow = self._teach
        self._make_matcher = make_matcher
        self._clock = clock
        self._matcher: Matcher | None = None
        self._made: Matcher | None = None  # perhaps still starting
        self._failure: str | None = None
        self._closed = False
        self._releases = 0  # of the matcher; a warm-up that is cut off by one has not failed
        self._warming = threading.Lock()
        self._tuning: Tuning | None = None
        self._retraining: Retraining | None = None
        self._carries_jobs = False
        self._parts_lock = threading.RLock()  # retraining makes the search that it uses
        self.when_warm: Callable[[], object] = lambda: None
        self.supervised: Callable[[], dict[str, dict[str, Any]]] = dict
        self.restart: Callable[[str], object] = unsupervised
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Go by other settings from now on; parts that hold theirs are made again by whoever tends them."""
        self.settings = settings
        self.feedback.is_open = settings.feedback_enabled
        if "loop" in self.feedback.__dict__:
            self.feedback.loop.deliver = self.retrain if settings.retraining_enabled else None
        if "backups" in self.__dict__:
            self.backups.interval_s = float(settings.backup_interval_s)

    @property
    def tuning(self) -> Tuning:
        """The search for better parameters; made when it is first asked for.

        Raises:
            ConflictError: it is switched off.
        """
        if not self.settings.optimization_enabled:
            raise ConflictError("Optimization is switched off. Start without --disable-optimization.")
        with self._parts_lock:
            if self._closed:
                raise EngineError("The application is closed.")
            if self._tuning is None:
                from ism.app.tuning import Tuning  # noqa: PLC0415 - only where something is tuned

                self._tuning = Tuning(self.settings, self.store, self.encoder, self.lead)
            return self._tuning

    @property
    def matcher(self) -> Matcher:
        """The matching service.

        Raises:
            EngineError: it is not ready yet, or could not be started.
        """
        if self._matcher is None:
            reason = self._failure or "The engines are still starting; try again in a few seconds."
            raise EngineError(reason)
        return self._matcher

    @property
    def retraining(self) -> Retraining:
        """Retraining jobs and model versions; made when first asked for.

        Raises:
            ConflictError: it is switched off.
        """
        if not self.settings.retraining_enabled:
            raise ConflictError("Retraining is switched off. Start without --disable-retraining.")
        with self._parts_lock:
            if self._closed:
                raise EngineError("The application is closed.")
            if self._retraining is None:
                from ism.app.retraining import Retraining  # noqa: PLC0415 - only where something is retrained

                seen = getattr(self._matcher, "watch", None)
                optimizer = (lambda: self.tuning.optimizer) if self.settings.optimization_enabled else None
                triggering = self.feedback.loop.triggering
                self._retraining = Retraining(
                    self.settings, self.store, self.encoder, triggering, seen, optimizer, lead=self.lead
                )
            return self._retraining

    def retrain(self, request: RetrainingRequest) -> None:
        """Begin the job that feedback asked for.

        Raises:
            EngineError: the engines are still starting; ask again.
        """
        _ = self.matcher  # what serves must be there before anything can be tried beside it
        if request.model_name != FUSION:
            self.retraining.take(request)
            return
        try:
            self.challenge_fusion(request.request_id)
        except ConflictError as error:
            _log.info("The fusion model stays: %s", error)
        self.feedback.loop.triggering.finish(request.request_id)

    def challenge_fusion(self, job_id: str | None = None) -> tuple[FusionModel, GateLook]:
        """Learn a fusion model and let the gate decide whether it answers; see `ism.app.teaching.challenge`."""
        from ism.app.teaching import challenge  # noqa: PLC0415 - the optimiser is needed here only

        return challenge(self.store, self.settings, self.feedback.loop, job_id)

    def warm_up(self) -> None:
        """Load the demonstration market where the store is new, then the engines; does nothing the second time."""
        with self._warming:
            if self._matcher is not None or self._closed:
                return
            started = time.perf_counter()
            try:
                if self.settings.starts_with_demo:
                    from ism.data.demo import start_market  # noqa: PLC0415 - only where something is started

                    start_market(self.store)
                matcher = self._make_matcher(self.store, self.encoder, self.settings.data_dir / "models", self.settings)
                self._made = matcher
                matcher.refresh()
            except Exception as error:
                self._failure = _failure(error)
                raise
            self._matcher, self._failure = matcher, None
            _log.info("Ready to match after %.1f s.", time.perf_counter() - started)

    def try_warm_up(self) -> None:
        """`warm_up` for a thread of its own: what fails is logged and shown by `components`."""
        releases = self._releases
        try:
            self.warm_up()
            self.when_warm()
        except Exception:  # noqa: BLE001 - nobody waits for this thread; readiness tells what happened
            if not self._closed and releases == self._releases:
                _log.exception("The engines could not be started.")

    def match(self, offer: Offer, top: int = 20, filters: MatchFilters | None = None) -> MatchResult:
        """Ranked receivers of an offer, from the market as it is now."""
        return self.matcher.match(offer, top, filters)

    def match_pair(self, buyer: Company, needs: Sequence[Listing], offers: Sequence[Offer]) -> MatchResult:
        """How well one buyer fits what a seller offers."""
        return self.matcher.match_pair(buyer, needs, offers)

    def offer_of(self, listing_id: str) -> Offer:
        """A stored listing as an offer, with what is known of its company.

        Raises:
            NotFoundError: there is no such listing.
            InvalidInputError: it is a need.
        """
        listing = self.store.get(Listing, listing_id)
        if listing.kind != "offer":
            raise InvalidInputError("offer_id", listing_id, "This listing is a need; give the identifier of an offer.")
        return offer_from(listing, self.store.get(Company, listing.company_id))

    def import_file(
        self,
        path: Path,
        kind: Kind | None = None,
        dry_run: bool = False,
        limits: Limits | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> ImportReport:
        """Take in a table or a public data set, all or nothing; errors as in `ism.data.imports.importer`."""
        from ism.data.imports.importer import import_file  # noqa: PLC0415 - its spreadsheet reader loads only when used

        def save(batches: Iterator[list[Value]]) -> None:
            self.store.bulk_upsert(chain.from_iterable(batches), DEFAULT_DATASET)

        return import_file(path, None if dry_run else save, kind, limits, _KnownCompanies(self.store), progress)

    def components(self) -> dict[str, dict[str, Any]]:
        """State of every component, and a detail for people; of supervised ones also ``restarts`` and ``needed``.

        States are ``ok``, ``degraded``, ``starting``, ``down`` and ``disabled``.
        """
        found: dict[str, dict[str, Any]] = {"store": {**self._store_state()}}
        found["lead"] = {**_lead_state(self.lead.leader()), "needed": False}
        if self._matcher is not None:
            found.update({name: {**state} for name, state in self._matcher.status().items()})
        elif self._failure is not None:
            found["matcher"] = {"state": "down", "detail": self._failure}
        else:
            found["matcher"] = {"state": "starting", "detail": "Market and engines are being loaded."}
        return {**found, **self.supervised()}

    def engines(self) -> list[dict[str, str]]:
        """The engines that the fusion weighs: ``name``, ``state``, ``detail``."""
        prefix = "engine:"
        states = {name: state for name, state in self.matcher.status().items() if name.startswith(prefix)}
        return [{"name": name.removeprefix(prefix), **state} for name, state in states.items()]

    @cached_property
    def narrator(self) -> Narrator:
        """Adds the text of a language model, where one is set."""
        from ism.app.narrative import Narrator  # noqa: PLC0415 - only where something is explained

        return Narrator(self.settings)

    @cached_property
    def tokens(self) -> SupabaseTokens | None:
        """Checks tokens of the Supabase project that is set."""
        if self.settings.supabase_url is None:
            return None
        from ism.app.supabase import SupabaseTokens  # noqa: PLC0415 - only where a project is set

        return SupabaseTokens(self.settings)

    @cached_property
    def backups(self) -> BackupService:
        """Backups; by themselves after its `start`."""
        from ism.app.backups import BackupService  # noqa: PLC0415 - only where something is backed up

        service = BackupService(self.settings, self.store)
        service.lead = self.lead
        return service

    @cached_property
    def marketplace(self) -> MarketplaceConnector | None:
        """Exchanges data with the marketplace that is set; by itself after its `start`."""
        if not self.settings.connects_marketplace:
            return None
        from ism.app.marketplace.connector import MarketplaceConnector  # noqa: PLC0415 - only where one is set
        from ism.app.marketplace.exchange import Surroundings  # noqa: PLC0415 - as above

        around = Surroundings(
            self.settings,
            self.store,
            lambda events: asyncio.run(self.feedback.ingest_batch(events)),
            lambda: self.feedback.is_open,
            self.match,
            self.offer_of,
            lambda: self.is_warm,
            self._clock,
        )
        return MarketplaceConnector(around)

    @cached_property
    def monitoring(self) -> Monitoring:
        """Measurements, alerts and what the dashboard shows; `Monitoring.collector` measures once it was started."""
        from ism.app.monitoring import Monitoring  # noqa: PLC0415 - numpy only where something is served

        return Monitoring(self.settings, self.store, lambda: getattr(self._made, "engine_times", None), self.lead)

    @cached_property
    def fusion(self) -> AIFusionLayer:
        """Which fusion models there are, and which one answers."""
        from ism.fusion.layer import AIFusionLayer  # noqa: PLC0415 - numpy only where the fusion is asked

        return AIFusionLayer(store=self.store)

    # --- for whoever tends the parts ---

    def begin(self) -> None:
        """Stand for election where several processes share the store."""
        if isinstance(self.lead, Lead):
            self.lead.start()

    def end(self) -> None:
        """End what `begin` began; another process leads at once."""
        if isinstance(self.lead, Lead):
            self.lead.stop()

    def follow(self) -> None:
        """Notice what other processes on the same store did: what was promoted, and jobs that were asked for."""
        follow = getattr(self._matcher, "follow", None)  # other matchers need not have one
        if follow is not None:
            follow()
        if self._carries_jobs and isinstance(self.lead, Lead) and self.lead.leads and self._has_jobs():
            self.carry_on_jobs()

    @property
    def failure(self) -> str | None:
        """Why the engines could not be started; None where they were, or are being started."""
        return self._failure

    @property
    def is_warm(self) -> bool:
        """Whether matches are answered."""
        return self._matcher is not None

    def probe(self) -> str:
        """Score an offer without logging it; what was found, for people. Errors as in `MatchService.probe`."""
        matcher = self.matcher
        probe = getattr(matcher, "probe", None)  # other matchers need not have one
        return str(probe()) if probe is not None else "It has no probe."

    def release_matcher(self) -> None:
        """End matching; `warm_up` begins it again."""
        self._releases += 1
        _close(self._made)
        with self._warming:
            self._matcher = self._made = self._failure = None

    def carry_on_searches(self) -> str:
        """Work on unfinished searches, if there are any; what there is to do, for people.

        Raises:
            EngineError: they cannot be worked on.
        """
        if self._tuning is None and not self._has_searches():
            return "Nothing to search; it begins with the first request."
        return self.tuning.optimizer.probe()

    def carry_on_jobs(self) -> str:
        """Work on open retraining jobs, if there are any; what there is to do, for people.

        Raises:
            EngineError: they cannot be worked on.
        """
        self._carries_jobs = True
        if self._retraining is None and not self._has_jobs():
            return "No job is open; it begins with the first request."
        return self.retraining.pipeline.probe()

    def retrain_with_found(self) -> None:
        """Begin a retraining with what a search found, where that is better than what is in use; each search once."""
        settings = self.settings
        if not (settings.optimization_enabled and settings.tuning_retrains and self.lead.leads):
            return
        for search, model in self.tuning.optimizer.better(settings.tuning_least_gain):
            config = {"retraining_type": "optimization", "optimization_id": search}
            self.retraining.pipeline.request(model, "performance", config, f"search-{search}")

    def release_tuning(self) -> None:
        """Park the searches; the next use carries them on."""
        with self._parts_lock:
            tuning, self._tuning = self._tuning, None
        _close(tuning)

    def release_retraining(self) -> None:
        """Park the jobs; the next use carries them on."""
        with self._parts_lock:
            self._carries_jobs = False
            retraining, self._retraining = self._retraining, None
        _close(retraining)

    def close(self) -> None:
        """Release everything; calling it again does nothing."""
        with self._parts_lock:
            self._closed = True
            parts = (self._tuning, self._retraining, self._made)
        for part in parts:
            _close(part)
        if "monitoring" in self.__dict__:
            self.monitoring.close()
        if "backups" in self.__dict__:
            self.backups.close()
        marketplace = self.__dict__.get("marketplace")
        if marketplace is not None:
            marketplace.close()
        self.feedback.close()
        self.encoder.close()
        self.store.close()

    def __enter__(self) -> Application:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _has_searches(self) -> bool:
        return self.settings.tuning_continuous or (self.settings.data_dir / "tuning").is_dir()

    def _teach(self, loop: FeedbackLoop) -> int:
        if not self.settings.fusion_enabled:
            return 0
        from ism.app.teaching import teach  # noqa: PLC0415 - numpy only where feedback is judged

        return teach(self.store, self.fusion, loop)

    def _has_jobs(self) -> bool:
        from ism.domain.retraining import OPEN  # noqa: PLC0415 - as small as the question

        return bool(self.store.retraining.jobs(states=OPEN, limit=1))

    def _store_state(self) -> dict[str, str]:
        try:
            self.store.ping()
        except IsmError as error:
            _log.warning("The store does not answer: %s", error)
            return {"state": "down", "detail": "The database does not answer; the log says more."}
        return {"state": "ok", "detail": "The database answers."}


def open_application(
    settings: Settings,
    make_matcher: MakeMatcher | None = None,
    warm: bool = True,
    clock: Callable[[], datetime] = utc_now,
    simulated: bool = False,
) -> Application:
    """Open the data folder and put the parts together; close the result, best by ``with``.

    Args:
        settings: every knob.
        make_matcher: builds the matching service; the real one by default.
        warm: whether to load market and all engines before returning; else `warm_up` is called later, and engines that
            take long to train follow while the others answer.
        clock: says what time it is, in UTC.
        simulated: whether the folder is a simulation's, see `ism.storage.open_store`.

    Raises:
        ConfigurationError: the text model, or a setting of feedback, cannot be used.
        StorageError: the store cannot be opened; DataFolderInUseError when another process has it.
    """
    from ism.data.bundled import BundledVectors  # noqa: PLC0415 - numpy only where something is opened
    from ism.data.text import CachedEncoder, SentenceModel  # noqa: PLC0415 - as above

    model = BundledVectors(SentenceModel(settings.text_model))
    store = open_store(settings, simulated)
    try:
        encoder = CachedEncoder(model, settings.data_dir / "cache" / "vectors.sqlite3")
        make = make_matcher or partial(_match_service, staged=not warm, clock=clock)
        application = Application(settings, store, encoder, make, clock)
        _ = application.feedback.loop  # a setting of it that cannot be used is told now, not with the first event
        application.configure(settings)
    except BaseException:
        store.close()
        raise
    if warm:
        try:
            application.warm_up()
        except BaseException:
            application.close()
            raise
    return application


def offer_from(listing: Listing, company: Company) -> Offer:
    """What a company offers, as it is matched."""
    return Offer(
        material=listing.material,
        description=listing.description,
        ewc=listing.ewc,
        quantity_t_per_year=listing.quantity_t_per_year,
        price_eur_per_t=listing.price_eur_per_t,
        hazardous=listing.hazardous,
        nace=company.nace,
        country=company.country,
        latitude=company.latitude,
        longitude=company.longitude,
        valid_from=listing.valid_from,
        valid_until=listing.valid_until,
        offer_id=listing.listing_id,
        company_id=company.company_id,
    )


class _KnownCompanies:
    """Answers which companies are stored; reads their identifiers once, when first asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: set[str] | None = None

    def __call__(self, identifiers: Collection[str]) -> Collection[str]:
        if self._known is None:
            with self._store.read_market() as reader:
                self._known = {str(key) for columns in reader.columns(Company) for key in columns["company_id"]}
        return self._known.intersection(identifiers)


def _match_service(
    store: Store,
    encoder: TextEncoder,
    model_folder: Path,
    settings: Settings,
    staged: bool,
    clock: Callable[[], datetime],
) -> Matcher:
    from ism.app.matching import MatchService  # noqa: PLC0415 - engines load only where something is matched

    return MatchService(store, encoder, model_folder, settings, staged, clock)


def _lead_state(leader: Leader) -> dict[str, str]:
    if not leader.replica:
        return {"state": "degraded", "detail": "No replica is known to lead; what works in the background waits."}
    if leader.since is None:
        return {"state": "ok", "detail": f"{leader.replica}, this process, does everything itself."}
    since = f" since {leader.since:%Y-%m-%d %H:%M:%S} UTC"
    where = "this replica; what must happen once is done here" if leader.here else "another replica"
    return {"state": "ok", "detail": f"{leader.replica} leads{since}: {where}."}


def _close(part: object) -> None:
    end = getattr(part, "close", None)  # not every matcher has threads to end
    if end is not None:
        end()


def _failure(error: Exception) -> str:
    """An error as it may be shown to callers: our own words, never a foreign message, which may hold an address."""
    if isinstance(error, IsmError):
        return f"The engines could not be started: {error}"
    return f"The engines could not be started ({type(error).__name__}); the log says more."
