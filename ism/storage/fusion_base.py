"""What a store promises to the fusion; part of `ism.storage.Store`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from ism.domain.engine import FusionModel
from ism.domain.fusion import ActiveFusion, FusionSwitch, MaturedOutcome, WeightStep

Follow = Callable[[dict[str, float] | None, Sequence[MaturedOutcome]], list[WeightStep]]


class FusionStore(ABC):
    """Models of the fusion, which one answers, and what outcomes taught; the promises of `Store` hold here too.

    Versions of a model count from 1 and never change once stored.
    """

    @abstractmethod
    def add_fusion_model(self, model: FusionModel) -> FusionModel:
        """Store a model as the next version of its ``model_id``; returned with that version."""

    @abstractmethod
    def fusion_models(self) -> list[FusionModel]:
        """The latest version of every stored model, by ``model_id``."""

    @abstractmethod
    def get_fusion_model(self, model_id: str, version: int | None = None) -> FusionModel:
        """One model, its latest version when none is given; NotFoundError when it is not stored."""

    @abstractmethod
    def active_fusion(self) -> ActiveFusion | None:
        """Which model answers; None where nothing was ever switched."""

    @abstractmethod
    def switch_fusion(
        self, model_id: str, version: int, *, before: ActiveFusion, actor: str, reason: str, reverts: int | None = None
    ) -> FusionSwitch:
        """Make a stored model answer, and log it, in one transaction.

        Args:
            model_id: of the model; NotFoundError when it is not stored.
            version: of the model.
            before: what answers now; ConflictError when another switch came first (its ``generation`` differs).
            actor: who switched.
            reason: why.
            reverts: number of the switch that is taken back.
        """

    @abstractmethod
    def fusion_switches(self, limit: int = 100) -> list[FusionSwitch]:
        """The last switches, newest first."""

    @abstractmethod
    def follow_outcomes(self, outcomes: Sequence[MaturedOutcome], follow: Follow) -> int:
        """Take in matured outcomes, each recommendation once and all in order of maturity; returns how many were new.

        The order is that of (``matured_at``, ``recommendation_id``). Outcomes of recommendations that are stored
        already are left out, whatever they say. Where a new one matured before stored ones, the steps from there on are
        made again, so that the result depends on the set of outcomes and not on their arrival.

        Args:
            outcomes: in any order.
            follow: weights before (None at the very start), and outcomes in order -> a step for each. Called in the
                transaction; it must not use the store.
        """

    @abstractmethod
    def last_weight_step(self) -> WeightStep | None:
        """The step of the outcome that matured last; None where there is none."""

    @abstractmethod
    def weight_steps(self, limit: int = 1000) -> list[WeightStep]:
        """The last steps, in order of maturity."""

    @abstractmethod
    def fusion_generation(self) -> int:
        """Counts changes of models, of the active one and of adaptive weights; each in its own transaction."""
