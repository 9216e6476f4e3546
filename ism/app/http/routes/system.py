"""Health, for machines that watch."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from ism.app.http.access import App

router = APIRouter(tags=["Health"])


class ComponentState(BaseModel):
    """State of one part."""

    state: Literal["ok", "degraded", "starting", "down", "disabled"]
    detail: str
    restarts: int = Field(0, description="How often it was started again since the server started.")
    needed: bool = Field(True, description="Whether nothing is answered without it.")


class LeadingReplica(BaseModel):
    """Who does in the background what must happen once."""

    replica: str = Field(description="Host, process and a random part; empty where nobody is known to lead.")
    here: bool = Field(description="Whether it is the process that answers.")
    since: datetime | None = Field(description="When it took over; null where nothing is elected (SQLite).")


class Readiness(BaseModel):
    """State of the whole and of its parts."""

    status: Literal["ready", "starting", "down"]
    mode: Literal["normal", "degraded"] = Field(description="Degraded while a part does not work as it should.")
    degraded: list[str] = Field(description="These parts.")
    leader: LeadingReplica
    components: dict[str, ComponentState]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Always `ok` while the process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Can it do its work?", responses={503: {"model": Readiness, "description": "Not ready."}}
)
def readyz(application: App, response: Response) -> Readiness:
    """200 when every needed component works, else 503; a degraded one does less, or is being restarted."""
    components = {name: ComponentState.model_validate(state) for name, state in application.components().items()}
    states = {component.state for component in components.values() if component.needed}
    degraded = [name for name, component in components.items() if component.state in {"degraded", "down"}]
    status: Literal["ready", "starting", "down"] = (
        "down" if "down" in states else "starting" if "starting" in states else "ready"
    )
    if status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    mode: Literal["normal", "degraded"] = "degraded" if degraded else "normal"
    leader = LeadingReplica.model_validate(application.lead.leader(), from_attributes=True)
    return Readiness(status=status, mode=mode, degraded=degraded, leader=leader, components=components)
