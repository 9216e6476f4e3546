"""Retraining as the application runs it: jobs in the background, versions, and what serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ism.data.text import TextEncoder
from ism.domain.errors import NotFoundError
from ism.domain.retraining import OPEN, SERVING, Deployment, ModelVersion
from ism.engines import catalog
from ism.engines.base import ParamValue
from ism.retraining.opening import feedback_of, parts_of, when_ended
from ism.retraining.parts import Pulse, Search
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.retraining.search import Optimizer, OptimizerSearch
from ism.settings import Settings
from ism.storage import Store
from ism.storage.lead import SOLE, Leadership

if TYPE_CHECKING:
    from ism.app.deployed import Watch
    from ism.domain.feedback import RetrainingRequest
    from ism.feedback.triggering import Triggering

Json = dict[str, Any]


class Retraining:
    """One pipeline on the application's store.

    Args:
        settings: of the application.
        store: what is learnt from, and where jobs are kept.
        encoder: turns texts into vectors.
        triggering: emits requests, and is told when one was worked off.
        watch: what serving sees of a challenger; nothing where nothing serves.
        optimizer: gives what searches for better parameters at this moment; jobs that want that fail with the reason
            when None.
        lead: whether jobs run by themselves in this process.

    Attributes:
        pipeline: for everything that is not said here.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the application that retraining shares with others
        self,
        settings: Settings,
        store: Store,
        encoder: TextEncoder,
        triggering: Triggering,
        watch: Watch | None = None,
        optimizer: Callable[[], Optimizer] | None = None,
        *,
        lead: Leadership = SOLE,
    ) -> None:
        search = None if optimizer is None else _now(optimizer)
        states = SERVING if settings.retraining_runner == "prefect" else OPEN
        parts = parts_of(store, encoder, settings, watch, search)
        parts = replace(parts, ended=when_ended(store, settings, triggering), lead=lead, states=states)
        self.pipeline, self._registry = AIRetrainingPipeline(parts), parts.registry
        if watch is not None:
            told = feedback_of(store, settings)
            watch.outcomes_of, watch.alarm_of = told.outcomes, told.alarm

    def take(self, request: RetrainingRequest) -> None:
        """Begin the job that feedback asked for; the same request twice is one job."""
        self.pipeline.request(request.model_name, request.trigger_type, request.config, request.request_id)

    def models(self) -> list[Json]:
        """What serves under every name that has versions, or could have."""
        versions = self._registry.versions()
        names = dict.fromkeys([*catalog.names(), *(version.model_name for version in versions)])
        return [self._model(name, [v for v in versions if v.model_name == name]) for name in names]

    def versions(self, name: str) -> list[Json]:
        """Versions of a name, newest first, each with its part in serving.

        Raises:
            NotFoundError: there is no such name.
        """
        serving = self._known(name)
        return [_version(version, serving) for version in self._registry.versions(name)]

    def version(self, name: str, wanted: str) -> Json:
        """One version, by number or identifier, with the gate's reports of its job and the ledger of its name."""
        found = self._registry.find(name, wanted)
        reports = self.pipeline.reports(found.job_id) if found.job_id else []
        ledger = [
            {**{key: getattr(e, key) for key in ("generation", "action", "actor", "reason")}, "at": e.at.isoformat()}
            for e in self._registry.ledger(name)
            if found.version_id in {e.from_version, e.to_version}
        ]
        return {**_version(found, self._registry.deployment(name)), "reports": reports, "ledger": ledger}

    def diff(self, name: str, one: str, other: str) -> Json:
        """Where two versions differ."""
        return self._registry.diff(self._registry.find(name, one), self._registry.find(name, other))

    def promote(self, name: str, version: str, actor: str, reason: str, generation: int | None = None) -> Json:
        """Make a version that passed the gate the champion; errors as in `Registry.promote`."""
        found = self._registry.find(name, version)
        self._registry.promote(found, actor, reason, generation)
        return self._model(name, self._registry.versions(name))

    def rollback(
        self, name: str, actor: str, reason: str, version: str | None = None, generation: int | None = None
    ) -> Json:
        """Return to a champion before; errors as in `Registry.rollback`."""
        self._known(name)
        to = None if version is None else self._registry.find(name, version)
        self._registry.rollback(name, actor, reason, to, generation)
        return self._model(name, self._registry.versions(name))

    def close(self) -> None:
        """Stop; jobs that run are resumed at the next start."""
        self.pipeline.close()

    def _known(self, name: str) -> Deployment:
        serving = self._registry.deployment(name)
        if not serving.generation and name not in catalog.names() and not self._registry.versions(name):
            raise NotFoundError("model", name)
        return serving

    def _model(self, name: str, versions: list[ModelVersion]) -> Json:
        serving = self._registry.deployment(name)
        numbers = {version.version_id: version.number for version in versions}
        return {
            "model_name": name,
            "generation": serving.generation,
            "champion": numbers.get(serving.champion or ""),
            "previous": numbers.get(serving.previous or ""),
            "challenger": numbers.get(serving.challenger or ""),
            "mode": serving.mode,
            "share": serving.share,
            "versions": len(versions),
        }


def _now(optimizer: Callable[[], Optimizer]) -> Search:
    """A search by the optimizer of the moment: it may have been started again."""

    def search(
        job_id: str,
        model_name: str,
        snapshot: Path,
        config: Mapping[str, Any],
        start: Mapping[str, ParamValue],
        pulse: Pulse,
    ) -> dict[str, ParamValue]:
        return OptimizerSearch(optimizer())(job_id, model_name, snapshot, config, start, pulse)

    return search


def _version(version: ModelVersion, serving: Deployment) -> Json:
    role = {serving.champion: "champion", serving.previous: "previous", serving.challenger: serving.mode}
    told = (
        "version_id", "model_name", "number", "artifact", "snapshot", "code_version", "params", "seed", "parent",
        "job_id", "gate", "metrics",
    )  # fmt: skip
    return {
        **{name: getattr(version, name) for name in told},
        "role": role.get(version.version_id, ""),
        "created_at": version.created_at.isoformat(),
        "retired_at": version.retired_at.isoformat() if version.retired_at else None,
    }
