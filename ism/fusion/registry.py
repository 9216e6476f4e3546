"""Which fusion models there are, which one answers, and how matured outcomes move the adaptive one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ism.domain.engine import FusionModel
from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.fusion import ActiveFusion, FusionSwitch, MaturedOutcome, MaturedOutcomes, WeightStep
from ism.fusion.adaptive import Hedge
from ism.fusion.methods import ADAPTIVE_MODEL, built_in, method_of
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS
from ism.storage.fusion_base import FusionStore


class FusionRegistry:
    """Models by identifier: those that need no learning, and those that are stored.

    Threads: every method may be called from any thread that may use the store.

    Args:
        store: keeps what must survive.
        default: the model that answers until another one is chosen; ``default_weighted_sum`` when not given.
        hedge: how the adaptive weights follow outcomes.
    """

    def __init__(self, store: FusionStore, default: FusionModel | None = None, hedge: Hedge | None = None) -> None:
        self._store, self._hedge = store, hedge or Hedge()
        models = built_in() if default is None else [default]
        self._built_in = {model.model_id: model for model in models}
        self._default = models[0]

    def models(self) -> list[FusionModel]:
        """The latest version of every model, those that need no learning first; copies."""
        stored = {model.model_id: model for model in self._store.fusion_models()}
        return [self._current(model) for model in {**self._built_in, **stored}.values()]

    def get(self, model_id: str, version: int | None = None) -> FusionModel:
        """A model, its latest version by default.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return self._current(self._store.get_fusion_model(model_id, version))
        except NotFoundError:
            own = self._built_in.get(model_id)
            if own is None or version not in {None, own.version}:
                raise
            return self._current(own)

    def active(self) -> FusionModel:
        """The model that answers."""
        now = self.pointer()
        return self.get(now.model_id, now.version)

    def pointer(self) -> ActiveFusion:
        """Which model answers, with the number of switches so far."""
        return self._store.active_fusion() or ActiveFusion(self._default.model_id, self._default.version)

    def generation(self) -> int:
        """Grows with every change of models, of the active one or of adaptive weights."""
        return self._store.fusion_generation()

    def add(self, model: FusionModel) -> FusionModel:
        """Store a model as a new version, or give back the latest one where nothing differs.

        Raises:
            InvalidInputError: it cannot be used for fusion.
        """
        method_of(model)
        try:
            latest = self._store.get_fusion_model(model.model_id)
        except NotFoundError:
            return self._store.add_fusion_model(model)
        same = all(
            getattr(latest, name) == getattr(model, name)
            for name in ("model_type", "weights", "parameters", "performance_metrics")
        )
        return latest if same else self._store.add_fusion_model(model)

    def use(
        self, model_id: str, version: int | None = None, *, actor: str = "library", reason: str = ""
    ) -> FusionSwitch:
        """Make a model answer; logged, and reversible by `revert`.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: another switch came first.
        """
        return self._switch(model_id, version, actor, reason, None)

    def revert(self, *, actor: str = "library", reason: str = "") -> FusionSwitch:
        """Take back the last switch that was not taken back yet; again for the one before.

        Raises:
            ConflictError: there is none left, or another switch came first.
        """
        switches = self._store.fusion_switches(limit=10_000)
        undone = {switch.reverts for switch in switches}
        last = next((each for each in switches if each.reverts is None and each.number not in undone), None)
        if last is None:
            raise ConflictError("fusion: there is no switch left to take back. The first model is active.")
        return self._switch(last.previous_id, last.previous_version, actor, reason, last.number)

    def switches(self, limit: int = 100) -> list[FusionSwitch]:
        """The last switches, newest first."""
        return self._store.fusion_switches(limit)

    def observe(self, outcomes: MaturedOutcomes) -> int:
        """Move the adaptive weights by matured outcomes; returns how many recommendations were new.

        Each recommendation counts once, and the weights are those of all outcomes in order of maturity, in whatever
        order and how often they arrive.

        Args:
            outcomes: columns; a weight above 1 counts as 1 (see `Hedge.step`).

        Raises:
            InvalidInputError: columns differ in length, a value is out of range, or an engine is unknown.
        """
        rows = as_rows(outcomes)
        return self._store.follow_outcomes(rows, self._follow) if rows else 0

    def weight_history(self, limit: int = 1000) -> list[WeightStep]:
        """The last steps of the adaptive weights, in order of maturity."""
        return self._store.weight_steps(limit)

    def _switch(self, model_id: str, version: int | None, actor: str, reason: str, reverts: int | None) -> FusionSwitch:
        before = self.pointer()
        try:
            wanted = self._store.get_fusion_model(model_id, version)
        except NotFoundError:
            wanted = self._store.add_fusion_model(self.get(model_id, version))
        return self._store.switch_fusion(
            model_id, wanted.version, before=before, actor=actor, reason=reason, reverts=reverts
        )

    def _current(self, model: FusionModel) -> FusionModel:
        """A copy, the adaptive one with its weights of today."""
        weights = dict(model.weights)
        if model.model_id == ADAPTIVE_MODEL and (step := self._store.last_weight_step()) is not None:
            weights = dict(step.weights)
            model = replace(model, last_updated=step.outcome.matured_at)
        return replace(
            model,
            weights=weights,
            parameters=dict(model.parameters),
            performance_metrics=dict(model.performance_metrics),
        )

    def _follow(self, before: dict[str, float] | None, outcomes: Sequence[MaturedOutcome]) -> list[WeightStep]:
        names = sorted(DEFAULT_WEIGHTS)
        start = DEFAULT_WEIGHTS if before is None else before
        said = np.asarray([[outcome.scores.get(name, np.nan) for name in names] for outcome in outcomes])
        history, losses = self._hedge.run(
            np.asarray([start[name] for name in names]),
            said,
            np.asarray([outcome.label for outcome in outcomes]),
            np.asarray([outcome.weight for outcome in outcomes]),
        )
        return [
            WeightStep(outcome, dict(zip(names, weights.tolist(), strict=True)), float(loss))
            for outcome, weights, loss in zip(outcomes, history, losses, strict=True)
        ]


def as_rows(outcomes: MaturedOutcomes) -> list[MaturedOutcome]:
    """Columns as values, each checked by name.

    Raises:
        InvalidInputError: as in `FusionRegistry.observe`.
    """
    count = len(outcomes.recommendation_id)
    columns: Mapping[str, Sequence[object] | np.ndarray] = {
        "label": outcomes.label,
        "weight": outcomes.weight,
        "matured_at": outcomes.matured_at,
        **{f"scores.{name}": values for name, values in outcomes.scores.items()},
    }
    for name, values in columns.items():
        if len(values) != count:
            raise InvalidInputError(name, len(values), f"Give {count} values, one for each recommendation.")
    unknown = next((name for name in outcomes.scores if name not in DEFAULT_WEIGHTS), None)
    if unknown is not None:
        raise InvalidInputError("scores", unknown, f"Engines that are weighed: {', '.join(sorted(DEFAULT_WEIGHTS))}.")
    return [_row(outcomes, row) for row in range(count)]


def _row(outcomes: MaturedOutcomes, row: int) -> MaturedOutcome:
    scores = {name: float(values[row]) for name, values in outcomes.scores.items() if not np.isnan(values[row])}
    label, weight = float(outcomes.label[row]), float(np.minimum(outcomes.weight[row], 1.0))
    name, when = outcomes.recommendation_id[row], outcomes.matured_at[row]
    for field, value in {
        "label": label,
        "weight": weight,
        **{f"scores.{key}": each for key, each in scores.items()},
    }.items():
        if not 0.0 <= value <= 1.0:
            raise InvalidInputError(field, value, f"Give a number from 0 to 1 for recommendation {name}.")
    if when.tzinfo is None:
        raise InvalidInputError("matured_at", when, "Give a time with its zone, such as 2026-01-31T12:00:00Z.")
    if not scores:
        raise InvalidInputError("scores", {}, f"Give the score of at least one engine for recommendation {name}.")
    return MaturedOutcome(name, scores, label, weight, when)
