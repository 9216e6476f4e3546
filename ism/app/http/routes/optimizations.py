"""Searches for better parameters."""

from typing import Annotated, Any, Literal

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field

from ism.app.http.access import MAY_WRITE, App, api_router, audit

router = api_router("Optimization")

OptimizationId = Annotated[str, Path(min_length=1, max_length=100)]
_Positive = Annotated[float, Field(gt=0)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class ConstraintsIn(_Input):
    """Limits that the chosen parameters must keep."""

    max_training_time: _Positive | None = Field(None, description="Longest fit, in seconds.")
    max_memory: _Positive | None = Field(None, description="Largest process of a trial, in MiB.")
    min_score: float | None = Field(None, description="Least value of the metric.")


class OptimizationIn(_Input):
    """A search that is asked for; what is left out has the model's preset."""

    model_name: Annotated[str, Field(min_length=1, max_length=200)]
    optimization_type: Literal["bayesian", "tpe", "gp", "random", "cmaes"] = "bayesian"
    n_trials: Annotated[int, Field(ge=1, le=10_000)] | None = None
    timeout: _Positive | None = Field(None, description="Seconds.")
    metric: Annotated[str, Field(min_length=1, max_length=100)] = "accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"
    constraints: ConstraintsIn | None = None
    search_space: dict[str, dict[str, Any]] | None = Field(
        None, description='Parameter -> {"low", "high", "log"} or {"choices"}, within the space of the engine.'
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def values(self) -> dict[str, Any]:
        """As `ism.tuning.config.config_of` takes them."""
        limits = None if self.constraints is None else self.constraints.model_dump(exclude_none=True)
        return {**self.model_dump(), "constraints": limits}


class OptimizationStatus(BaseModel):
    """How far a search is."""

    optimization_id: str
    model_name: str
    optimization_type: str
    metric: str
    direction: str
    requested_trials: int
    created_at: str
    status: Literal["running", "completed", "failed", "cancelled"]
    paused: bool = Field(description="Whether it waits for an idle machine.")
    progress: float = Field(description="0..1.")
    best_score: float | None
    best_params: dict[str, float | int | str | bool] | None
    n_trials: int = Field(description="Finished trials.")
    duration: float = Field(description="Seconds of work.")
    start_time: str | None
    completed_at: str | None
    error_message: str | None


class OptimizationDetail(OptimizationStatus):
    """A search with its history."""

    importances: dict[str, float] = Field(description="How much each parameter moved the score; adds up to 1.")
    trials: list[dict[str, Any]]


@router.get("/api/optimizations", summary="List searches for better parameters")
def list_optimizations(application: App) -> dict[str, list[OptimizationStatus]]:
    """Every search, oldest first."""
    every = application.tuning.optimizer.list_optimizations()
    return {"optimizations": [OptimizationStatus.model_validate(each) for each in every]}


@router.post("/api/optimizations", status_code=202, dependencies=MAY_WRITE, summary="Search for better parameters")
def begin_optimization(wanted: OptimizationIn, application: App, request: Request) -> OptimizationStatus:
    """Begin a search in the background; searches run one after another."""
    begun = application.tuning.begin(wanted.values())
    audit(request, "search.begin", begun["optimization_id"], model=begun["model_name"])
    return OptimizationStatus.model_validate(begun)


@router.get("/api/optimizations/{optimization_id}", summary="Show a search")
def show_optimization(optimization_id: OptimizationId, application: App) -> OptimizationDetail:
    """One search with its trials and the importances of its parameters."""
    return OptimizationDetail.model_validate(application.tuning.optimizer.get_optimization(optimization_id))


@router.delete("/api/optimizations/{optimization_id}", dependencies=MAY_WRITE, summary="Cancel a search")
def cancel_optimization(optimization_id: OptimizationId, application: App, request: Request) -> OptimizationStatus:
    """End a search; it stays listed with what it found."""
    ended = application.tuning.cancel(optimization_id)
    audit(request, "search.cancel", optimization_id, model=ended["model_name"])
    return OptimizationStatus.model_validate(ended)
