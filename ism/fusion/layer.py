"""`AIFusionLayer`: fuses the outputs of engines, and says which fusion model does it."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ism.domain.engine import EngineOutput, FusionModel, FusionResult
from ism.domain.errors import ConflictError, EngineError, InvalidInputError, NotFoundError
from ism.domain.fusion import FusionSwitch, MaturedOutcome, MaturedOutcomes, WeightStep
from ism.fusion.method import Fused, FusionMethod
from ism.fusion.methods import DEFAULT_MODEL, method_of
from ism.fusion.reciprocal_rank import ReciprocalRank
from ism.fusion.registry import FusionRegistry, as_rows
from ism.fusion.weighted_sum import agreement, checked

if TYPE_CHECKING:
    from ism.settings import Settings
    from ism.storage import Store

_log = logging.getLogger("ism.fusion")
LEARNED_MODEL = "learned_weighted_sum"
OUTCOME_MODEL = "outcome_stacking"
LEAST_OUTCOMES = 30  # below, no weights are learnt from outcomes
_ROUNDING = 1e-5  # by which shares may miss the score
_HELD_OUT = 0.2  # of the outcomes, those that matured last, to measure by


class AIFusionLayer:
    """Combines several engines' opinions of one pair into one explained score.

    Without arguments it works on the default data folder (``ISM_DATA_DIR``, or ``DATABASE_URL``), which is opened when
    something of it is first needed and shared within the process. With weights it keeps everything in memory.

    Threads: every method may be called from any thread.

    Args:
        weights: engine -> weight, non-negative, of the model `DEFAULT_MODEL`; nothing is stored then.
        store: where models and switches are kept; stays open.
        settings: name the data folder, instead of the environment.

    Raises:
        InvalidInputError: a weight cannot be used, or both weights and a store are given.
        DataFolderInUseError, StorageError: any method may raise them when it opens the data folder.
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        store: Store | None = None,
        settings: Settings | None = None,
    ) -> None:
        if weights is not None and store is not None:
            raise InvalidInputError("store", store, "Give either weights, for use in memory, or a store.")
        self._opening = threading.RLock()
        self._settings = settings
        self._close: weakref.finalize[[], AIFusionLayer] | None = None
        self._registry: FusionRegistry | None = None
        self._method: tuple[int, FusionModel, FusionMethod] | None = None
        if weights is not None:
            from ism.fusion.memory import MemoryFusionStore  # noqa: PLC0415 - only for use in memory

            default = FusionModel(DEFAULT_MODEL, "weighted_sum", checked(weights))
            self._registry = FusionRegistry(MemoryFusionStore(), default)
        elif store is not None:
            self._registry = FusionRegistry(store)

    @property
    def registry(self) -> FusionRegistry:
        """Models and switches; opens the data folder where that is still to be done."""
        with self._opening:
            if self._registry is None:
                from ism.settings import Settings  # noqa: PLC0415 - only where the default folder is opened
                from ism.storage import share_store  # noqa: PLC0415 - as above

                shared = share_store(self._settings or Settings())
                self._close = weakref.finalize(self, shared.close)
                self._registry = FusionRegistry(shared.store)
            return self._registry

    async def fuse_engine_outputs(self, outputs: Sequence[EngineOutput]) -> FusionResult:
        """One score from several; see `fuse`."""
        return self.fuse(outputs)

    def fuse(self, outputs: Sequence[EngineOutput]) -> FusionResult:
        """One score from several outputs for one pair, whose confidences are probabilities (`Calibration` makes them).

        Engines that the model weighs and that are absent are named, and their weight is shared by the others in
        proportion. A model that fuses ranks reads the rank of each output from ``metadata["rank"]``, from 1.

        Raises:
            InvalidInputError: there is no output, a score is not in 0..1, an engine speaks twice, the model does not
                know it, or a rank is needed and missing.
        """
        model, method = self._active()
        started = time.perf_counter()
        outputs = [replace(output) for output in outputs]  # checks values that were set after construction, too
        names = [output.engine_name for output in outputs]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise InvalidInputError("engine_name", repeated, "Give one output of each engine.")
        said = {output.engine_name: np.asarray(output.confidence_score, np.float64) for output in outputs}
        fused = _fused(method, said, outputs)
        score, confidence = float(fused.final), float(agreement(said, method.weights))
        contributions = {name: float(share) for name, share in fused.contributions.items()}
        missing = [name for name in method.weights if name not in said]
        return FusionResult(
            final_score=score,
            confidence=confidence,
            engine_contributions=contributions,
            explanation=explanation(score, confidence, contributions, missing),
            metadata={
                "fusion_model_id": model.model_id,
                "fusion_model_version": model.version,
                "processing_time": time.perf_counter() - started,
                "engine_count": len(outputs),
                "missing_engines": missing,
            },
        )

    def probe(self) -> str:
        """Fuse what each engine could say and check the promise that shares add up; what was found, for people.

        Raises:
            EngineError: the active model does not fuse as it should.
        """
        model, method = self._active()
        said = {name: np.asarray([0.25, 0.5, 0.75], np.float64) for name in method.weights}
        fused = method.fuse(said)
        final = np.asarray(fused.final)
        apart = np.abs(final - sum(np.asarray(share) for share in fused.contributions.values()))
        if not ((final >= 0) & (final <= 1)).all() or not (apart <= _ROUNDING).all():
            raise EngineError(f"Fusion model {model.model_id} gives {final.tolist()} with shares that do not add up.")
        return f"{model.model_id} {model.version} fuses {len(said)} engines."

    def get_fusion_models(self) -> list[FusionModel]:
        """The models that can be chosen, each in its latest version; copies, so that changing one changes nothing."""
        return self.registry.models()

    def get_active_model(self) -> FusionModel:
        """The model that answers; a copy."""
        return self.registry.active()

    def set_active_model(self, model_id: str, *, actor: str = "library", reason: str = "") -> bool:
        """Make a model answer; logged, and reversible by `revert`.

        Returns:
            whether it answers now. Where it does not (there is no such model, or another switch came first), the
            reason is logged and the model that answered before goes on.
        """
        try:
            self.registry.use(model_id, actor=actor, reason=reason)
        except (NotFoundError, ConflictError, InvalidInputError) as error:
            _log.warning("The active fusion model stays %s: %s", self.registry.pointer().model_id, error)
            return False
        return True

    def revert(self, *, actor: str = "library", reason: str = "") -> FusionSwitch:
        """Take back the last switch; ConflictError when there is none left."""
        return self.registry.revert(actor=actor, reason=reason)

    def switches(self, limit: int = 100) -> list[FusionSwitch]:
        """The last switches of the active model, newest first."""
        return self.registry.switches(limit)

    def observe(self, outcomes: MaturedOutcomes) -> int:
        """Move the adaptive weights by matured outcomes, each recommendation once; see `FusionRegistry.observe`."""
        return self.registry.observe(outcomes)

    def weight_history(self, limit: int = 1000) -> list[WeightStep]:
        """The last steps of the adaptive weights, in order of maturity."""
        return self.registry.weight_history(limit)

    def learn(self, outcomes: MaturedOutcomes) -> FusionModel | None:
        """Learn weights in batch from matured outcomes and store them as the next version of `LEARNED_MODEL`.

        The last fifth to mature is held out to measure by (``performance_metrics``: ``log_loss`` in nats an outcome, of
        the model and under ``default`` of the default weights); the weights are then learnt from all. It does not
        become active.

        Returns:
            the stored model; None where outcomes with a weight are fewer than `LEAST_OUTCOMES`.

        Raises:
            InvalidInputError: as `observe`.
        """
        from ism.fusion.learn_outcomes import learned_model  # noqa: PLC0415 - the optimiser is needed here only

        return self._learnt(outcomes, partial(learned_model, LEARNED_MODEL))

    def learn_stacking(self, outcomes: MaturedOutcomes) -> FusionModel | None:
        """As `learn`, but a stacking of all engines together, `OUTCOME_MODEL`.

        Its order neither depends on how high an engine's probabilities are, nor suffers from the engines having chosen
        what was shown (`ism.fusion.learn_outcomes`).
        """
        from ism.fusion.learn_outcomes import stacked_model  # noqa: PLC0415 - the optimiser is needed here only

        return self._learnt(outcomes, partial(stacked_model, OUTCOME_MODEL))

    def _learnt(
        self, outcomes: MaturedOutcomes, model_from: Callable[[Sequence[MaturedOutcome], float], FusionModel]
    ) -> FusionModel | None:
        rows = {row.recommendation_id: row for row in reversed(as_rows(outcomes)) if row.weight > 0}
        if len(rows) < LEAST_OUTCOMES:
            return None
        ordered = sorted(rows.values(), key=lambda row: (row.matured_at, row.recommendation_id))
        model = model_from(ordered, _HELD_OUT)
        return self.registry.add(replace(model, last_updated=datetime.now(UTC)))

    def close(self) -> None:
        """Give the data folder back; a layer that is used again opens it again."""
        with self._opening:
            if self._close is not None:
                self._close()
                self._close = self._registry = self._method = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _active(self) -> tuple[FusionModel, FusionMethod]:
        """The active model and its method; made again only where something changed."""
        registry = self.registry
        generation = registry.generation()
        if self._method is None or self._method[0] != generation:
            model = registry.active()
            self._method = (generation, model, method_of(model))
        return self._method[1:]


def _fused(
    method: FusionMethod,
    said: Mapping[str, npt.NDArray[np.float64]],
    outputs: Sequence[EngineOutput],
) -> Fused[npt.NDArray[np.float64]]:
    if not method.needs_list:
        return method.fuse(said)
    if not isinstance(method, ReciprocalRank):
        raise InvalidInputError("model_id", method.name, "This model needs whole lists; choose another one for pairs.")
    ranks: dict[str, npt.NDArray[np.float64]] = {}
    for output in outputs:
        rank = output.metadata.get("rank")
        if not isinstance(rank, int | float) or isinstance(rank, bool) or not 1 <= rank < float("inf"):
            remedy = f"The active model fuses ranks: give the receiver's rank with {output.engine_name}, from 1."
            raise InvalidInputError("metadata.rank", rank, remedy)
        ranks[output.engine_name] = np.asarray(rank, np.float64)
    return method.fuse_ranks(ranks)


def explanation(score: float, confidence: float, contributions: Mapping[str, float], missing: Sequence[str]) -> str:
    """The fused score in words."""
    shares = sorted(contributions.items(), key=lambda share: -abs(share[1]))
    parts = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in shares)
    absent = (
        f" Without {', '.join(name.replace('_', ' ') for name in missing)}, which did not answer." if missing else ""
    )
    return f"Score {score:.2f} is the sum of {parts}. Confidence {confidence:.2f}.{absent}"
