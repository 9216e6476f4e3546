"""Health, for machines that watch."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from ism.app.http.access import App

router = APIRouter(tags=["Health"])


class ComponentState(BaseModel):
    """State of one part."""

    state: Literal["ok", "degraded", "starting", "down"]
    detail: str


class Readiness(BaseModel):
    """State of the whole and of its parts."""

    status: Literal["ready", "starting", "down"]
    components: dict[str, ComponentState]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Always `ok` while the process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Can it do its work?", responses={503: {"model": Readiness, "description": "Not ready."}}
)
def readyz(application: App, response: Response) -> Readiness:
    """200 when every needed component works, else 503; a degraded component does its work with less."""
    components = {name: ComponentState.model_validate(state) for name, state in application.components().items()}
    states = {component.state for component in components.values()}
    status: Literal["ready", "starting", "down"] = (
        "down" if "down" in states else "starting" if "starting" in states else "ready"
    )
    if status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return Readiness(status=status, components=components)
