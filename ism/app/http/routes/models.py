"""Retraining jobs, versions of models, and what serves."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ism.app.http.access import MAY_MANAGE, MAY_WRITE, App, api_router, audit, get_caller

router = api_router("Models")

JobId = Annotated[str, Path(min_length=1, max_length=100)]
ModelName = Annotated[str, Path(min_length=1, max_length=200)]
Json = dict[str, Any]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class RetrainingConfigIn(_Input):
    """How to retrain; what is left out has its default."""

    retraining_type: Literal["full", "adaptive", "feedback_driven", "optimization"] = "full"
    n_trials: Annotated[int, Field(ge=1, le=10_000)] | None = None
    timeout: Annotated[float, Field(gt=0, le=604_800)] | None = Field(None, description="Seconds of the search.")
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    optimization_id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="A search whose best parameters are taken instead of searching anew."
    )


class RetrainingIn(_Input):
    """A retraining that is asked for."""

    model_name: Annotated[str, Field(min_length=1, max_length=200)]
    trigger_type: Literal["schedule", "feedback", "performance", "manual"] = "manual"
    config: RetrainingConfigIn = Field(default_factory=RetrainingConfigIn)


class MoveIn(_Input):
    """A change of what serves."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    generation: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The generation that you saw; a change in between is then answered with 409."
    )


class PromotionIn(MoveIn):
    """A promotion."""

    version: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="Number or identifier.")


class RollbackIn(MoveIn):
    """A rollback."""

    version: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Number or identifier of a former champion; the one before the present when left out."
    )


@router.get("/api/retraining-jobs", summary="List retraining jobs")
def list_jobs(
    application: App,
    model_name: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, list[Json]]:
    """Jobs, newest first."""
    return {"jobs": [job.as_dict() for job in application.retraining.pipeline.jobs(model_name, limit)]}


@router.post("/api/retraining-jobs", status_code=202, dependencies=MAY_WRITE, summary="Ask for a retraining")
def ask(wanted: RetrainingIn, application: App, request: Request) -> Json:
    """The stored job. It runs in the background; where one of the model waits already, this one joins it."""
    config = wanted.config.model_dump(exclude_none=True)
    job = application.retraining.pipeline.request(wanted.model_name, wanted.trigger_type, config)
    audit(request, "retraining.request", job.job_id, model=job.model_name)
    return job.as_dict()


@router.get("/api/retraining-jobs/{job_id}", summary="Show a retraining job")
def show_job(job_id: JobId, application: App) -> Json:
    """A job with its ledger and the gate's reports."""
    pipeline = application.retraining.pipeline
    moves = [
        {"number": m.number, "from": m.from_state, "to": m.to_state, "reason": m.reason, "at": m.at.isoformat()}
        for m in pipeline.moves(job_id)
    ]
    return {**pipeline.job(job_id).as_dict(), "moves": moves, "reports": pipeline.reports(job_id)}


@router.post("/api/retraining-jobs/{job_id}/cancel", dependencies=MAY_WRITE, summary="Cancel a retraining job")
def cancel_job(job_id: JobId, application: App, request: Request) -> Json:
    """The job, which ends at its next step; 409 when it has ended."""
    job = application.retraining.pipeline.cancel(job_id)
    audit(request, "retraining.cancel", job_id, model=job.model_name)
    return job.as_dict()


@router.get("/api/models", summary="List models")
def list_models(application: App) -> dict[str, list[Json]]:
    """What serves under each name: the numbers of champion, challenger and the champion before."""
    return {"models": application.retraining.models()}


@router.get("/api/models/{name}/versions", summary="List the versions of a model")
def list_versions(name: ModelName, application: App) -> dict[str, list[Json]]:
    """Versions, newest first, with their lineage."""
    return {"versions": application.retraining.versions(name)}


@router.get("/api/models/{name}/versions/{version}", summary="Show a version of a model")
def show_version(name: ModelName, version: JobId, application: App) -> Json:
    """A version with the gate's reports and its part in the ledger."""
    return application.retraining.version(name, version)


@router.get("/api/models/{name}/diff", summary="Compare two versions")
def diff(
    name: ModelName,
    one: Annotated[str, Query(min_length=1, max_length=100)],
    other: Annotated[str, Query(min_length=1, max_length=100)],
    application: App,
) -> Json:
    """Where they differ: name -> `from` and `to`."""
    return {"differences": application.retraining.diff(name, one, other)}


@router.post("/api/models/{name}/promote", dependencies=MAY_MANAGE, summary="Promote a version")
def promote(name: ModelName, wanted: PromotionIn, application: App, request: Request) -> Json:
    """What serves now; 409 where the version has not passed the gate, or somebody else was first."""
    actor = get_caller(request).name
    return application.retraining.promote(name, wanted.version, actor, wanted.reason, wanted.generation)


@router.post("/api/models/{name}/rollback", dependencies=MAY_MANAGE, summary="Return to a champion before")
def rollback(name: ModelName, wanted: RollbackIn, application: App, request: Request) -> Json:
    """What serves now. Nothing is trained; files that were changed are refused with their digest."""
    actor = get_caller(request).name
    return application.retraining.rollback(name, actor, wanted.reason, wanted.version, wanted.generation)
