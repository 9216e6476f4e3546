"""The promoted models in a serving process: loaded beside what serves, then swapped in as a whole."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from ism.data.market import Market, OfferArrays, Rows
from ism.data.text import TextEncoder
from ism.domain.errors import IsmError
from ism.domain.retraining import Deployment
from ism.fusion.fit import FittedFusion
from ism.retraining.e_process import ArmOutcome
from ism.retraining.parts import ShadowCount
from ism.retraining.registry import Registry

_POLL_S = 1.0  # between two looks at what was promoted
_MOST_WAITING = 8  # requests that wait to be scored in shadow; more are left out rather than slowing the answers
_log = logging.getLogger("ism.deployed")


@dataclass(frozen=True)
class Arm:
    """Models that answer together."""

    fusion: FittedFusion
    versions: dict[str, str]


@dataclass(frozen=True)
class Deployed:
    """What serves, and what is tried beside it.

    Attributes:
        seen: generation of each name, so that a change is noticed.
        trial: what serves in shadow or canary; None without a challenger.
        challenger: its version.
    """

    champion: Arm
    seen: tuple[Deployment, ...] = ()
    trial: Arm | None = None
    challenger: str = ""
    share: float = 0.0

    def arm(self, company_id: str | None) -> Arm:
        """Who answers a company: the challenger for a stable share of them, the champion for the rest."""
        if self.trial is None or company_id is None or not in_canary(self.challenger, company_id, self.share):
            return self.champion
        return self.trial


def in_canary(version_id: str, company_id: str, share: float) -> bool:
    """Whether a company belongs to a version's canary: always the same answer, on every replica.

    Each version draws its companies anew, so that nobody is always the first to try.
    """
    digest = hashlib.sha256(f"{version_id}\0{company_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


class DeployedModels:
    """Follows the registry; threads may share it.

    Args:
        registry: says what was promoted.
        encoder: for the engines that need one.
        names: of the engines that serve.
    """

    def __init__(self, registry: Registry, encoder: TextEncoder, names: Sequence[str]) -> None:
        self._registry, self._encoder, self._names = registry, encoder, list(names)
        self._looked = 0.0
        self._swapping = threading.Lock()

    def load(self, base: Arm, before: Arm | None = None) -> Deployed:
        """What serves now; engines of ``base`` where nothing was promoted.

        A version that cannot be trusted or loaded is left out with an error in the log: the engine of ``before`` goes
        on, or that of ``base``.
        """
        seen = tuple(self._registry.deployment(name) for name in self._names)
        champion = base
        for each in seen:
            loaded = self._with(champion, each.model_name, each.champion)
            if loaded is champion and each.champion is not None and before is not None:
                loaded = _keeping(champion, before, each.model_name)
            champion = loaded
        for each in seen:
            if each.challenger is not None:
                trial = self._with(champion, each.model_name, each.challenger)
                if trial is not champion:
                    return Deployed(
                        champion, seen, trial, each.challenger, each.share if each.mode == "canary" else 0.0
                    )
        return Deployed(champion, seen)

    def follow(self, serving: Deployed, base: Arm, swap: Callable[[Deployed], None]) -> None:
        """Look whether something was promoted, at most once a second; load it in a thread and swap it in.

        Nobody waits: until everything is loaded, ``serving`` goes on answering.
        """
        now = time.monotonic()
        if now - self._looked < _POLL_S or not self._swapping.acquire(blocking=False):
            return
        self._looked = now

        def work() -> None:
            try:
                seen = tuple(self._registry.deployment(name) for name in self._names)
                if seen != serving.seen:
                    swap(self.load(base, serving.champion))
            except IsmError as error:
                _log.warning("What was promoted cannot be read; the present models go on: %s", error)
            finally:
                self._swapping.release()

        threading.Thread(target=work, name="swap-models", daemon=True).start()

    def _with(self, arm: Arm, name: str, version_id: str | None) -> Arm:
        from ism.retraining.training import load_model  # noqa: PLC0415 - engines load where they serve

        if version_id is None:
            return arm
        try:
            version = next(found for found in self._registry.versions(name) if found.version_id == version_id)
            engine, model = load_model(name, self._registry.folder_of(version), self._encoder)
        except (IsmError, StopIteration) as error:
            _log.error("Version %s of %s cannot serve; what served before goes on: %s", version_id, name, error)
            return arm
        fusion = replace(
            arm.fusion,
            engines={**arm.fusion.engines, name: engine},
            calibrations={**arm.fusion.calibrations, name: model.calibration},
        )
        return Arm(fusion, {**arm.versions, name: version.artifact[:12]})


def _keeping(arm: Arm, before: Arm, name: str) -> Arm:
    """The models of ``arm`` with one engine as it was before."""
    fusion = replace(
        arm.fusion,
        engines={**arm.fusion.engines, name: before.fusion.engines[name]},
        calibrations={**arm.fusion.calibrations, name: before.fusion.calibrations[name]},
    )
    return Arm(fusion, {**arm.versions, name: before.versions[name]})


@dataclass
class Watch:
    """What serving sees of a challenger; `ism.retraining.parts.Observations` for the pipeline.

    Attributes:
        outcomes_of: what came of both arms, from feedback; nothing where none is joined yet.
        alarm_of: why a promoted version must go.
    """

    outcomes_of: Callable[[str, str], list[ArmOutcome]] = lambda name, version: []
    alarm_of: Callable[[str, str], str | None] = lambda name, version: None
    _counts: dict[str, ShadowCount] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: int = 0
    _worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "shadow"))

    def score_unseen(self, deployed: Deployed, market: Market, offers: OfferArrays, rows: Rows) -> None:
        """Let the challenger score a request after it was answered, and count whether it could."""
        trial = deployed.trial
        if trial is None:
            return
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                return
            self._waiting += 1
        self._worker.submit(self._score, deployed.challenger, trial, market, offers, rows)

    def shadow(self, version_id: str) -> ShadowCount:
        """Requests that a version scored unseen, in this process since it started."""
        return self._counts.get(version_id, ShadowCount())

    def outcomes(self, model_name: str, version_id: str) -> list[ArmOutcome]:
        """What came of both arms of a canary."""
        return self.outcomes_of(model_name, version_id)

    def alarm(self, model_name: str, version_id: str) -> str | None:
        """Why a promoted version must go, or None."""
        return self.alarm_of(model_name, version_id)

    def close(self) -> None:
        """End the worker."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _score(self, version_id: str, trial: Arm, market: Market, offers: OfferArrays, rows: Rows) -> None:
        failed = 1
        try:
            failed = int(not np.isfinite(trial.fusion.score(market, offers, rows).final).all())
        except Exception:  # noqa: BLE001 - whatever a challenger does wrong is what the shadow is for
            _log.exception("Version %s failed in shadow.", version_id)
        with self._lock:
            self._waiting -= 1
            so_far = self._counts.get(version_id, ShadowCount())
            self._counts[version_id] = ShadowCount(so_far.requests + 1, so_far.failures + failed)
