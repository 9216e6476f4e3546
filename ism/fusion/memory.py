"""The fusion's records in memory, for library use and tests; gone with the process."""
# ruff: noqa: D102 - the contract, `FusionStore`, documents every method

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

from ism.domain.engine import FusionModel
from ism.domain.errors import ConflictError, NotFoundError
from ism.domain.fusion import ActiveFusion, FusionSwitch, MaturedOutcome, WeightStep
from ism.storage.fusion_base import Follow, FusionStore


class MemoryFusionStore(FusionStore):
    """Keeps `FusionStore`'s promises but survival; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._models: dict[str, list[FusionModel]] = {}
        self._active: ActiveFusion | None = None
        self._switches: list[FusionSwitch] = []
        self._steps: list[WeightStep] = []
        self._generation = 0

    def add_fusion_model(self, model: FusionModel) -> FusionModel:
        with self._lock:
            versions = self._models.setdefault(model.model_id, [])
            stored = replace(deepcopy(model), version=len(versions) + 1)
            versions.append(stored)
            self._generation += 1
            return deepcopy(stored)

    def fusion_models(self) -> list[FusionModel]:
        with self._lock:
            return [deepcopy(versions[-1]) for _, versions in sorted(self._models.items())]

    def get_fusion_model(self, model_id: str, version: int | None = None) -> FusionModel:
        with self._lock:
            versions = self._models.get(model_id, [])
            number = len(versions) if version is None else version
            if not 1 <= number <= len(versions):
                raise NotFoundError("fusion model", model_id if version is None else f"{model_id} version {version}")
            return deepcopy(versions[number - 1])

    def active_fusion(self) -> ActiveFusion | None:
        return self._active

    def switch_fusion(
        self, model_id: str, version: int, *, before: ActiveFusion, actor: str, reason: str, reverts: int | None = None
    ) -> FusionSwitch:
        with self._lock:
            self.get_fusion_model(model_id, version)
            if before.generation != len(self._switches):
                raise ConflictError("fusion: another model was made active meanwhile. Read which one and retry.")
            previous = (before.model_id, before.version)
            number = before.generation + 1
            done = FusionSwitch(number, model_id, version, *previous, actor, reason, reverts, datetime.now(UTC))
            self._switches.append(done)
            self._active = ActiveFusion(model_id, version, number)
            self._generation += 1
            return done

    def fusion_switches(self, limit: int = 100) -> list[FusionSwitch]:
        with self._lock:
            return self._switches[::-1][:limit]

    def follow_outcomes(self, outcomes: Sequence[MaturedOutcome], follow: Follow) -> int:
        with self._lock:
            known = {step.outcome.recommendation_id for step in self._steps}
            given = {each.recommendation_id: each for each in reversed(outcomes) if each.recommendation_id not in known}
            if not given:
                return 0
            every = sorted([*given.values(), *(step.outcome for step in self._steps)], key=_in_order)
            first = next(place for place, outcome in enumerate(every) if outcome.recommendation_id in given)
            before = self._steps[first - 1].weights if first else None
            self._steps[first:] = follow(before, every[first:])
            self._generation += 1
            return len(given)

    def last_weight_step(self) -> WeightStep | None:
        return deepcopy(self._steps[-1]) if self._steps else None

    def weight_steps(self, limit: int = 1000) -> list[WeightStep]:
        return deepcopy(self._steps[-limit:])

    def fusion_generation(self) -> int:
        return self._generation


def _in_order(outcome: MaturedOutcome) -> tuple[datetime, str]:
    return outcome.matured_at, outcome.recommendation_id
