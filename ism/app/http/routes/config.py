"""The production configuration: what is in force, who changed it, and taking that back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ism.app.http.access import MAY_MANAGE, api_router, get_caller
from ism.app.orchestrator import ProductionOrchestrator

router = api_router("Configuration")

_MOST = 1000  # characters of a reason


class ConfigChange(BaseModel):
    """One change, as it is kept."""

    number: int
    made_at: datetime
    actor: str
    reason: str
    action: Literal["update", "undo"]
    changes: dict[str, tuple[bool | int | str, bool | int | str]] = Field(description="Field -> before and after.")
    undoes: int | None


class Configuration(BaseModel):
    """What is in force."""

    config: dict[str, bool | int | str]
    version: int = Field(description="Number of the last change; 0 where there is none.")
    history: list[ConfigChange] = Field(description="The last changes, newest first.")


class UndoIn(BaseModel):
    """Why a change is taken back."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: Annotated[str, Field(max_length=_MOST)] = ""


@router.get("/api/config", summary="Show the configuration")
def show_config(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> Configuration:
    """The configuration that is in force, and its last changes."""
    return _shown(_orchestrator(request), limit)


@router.patch("/api/config", dependencies=MAY_MANAGE, summary="Change the configuration")
def change_config(
    request: Request,
    changes: Annotated[dict[str, Any], Body(description="Field -> value; a `reason` is kept beside the change.")],
) -> Configuration:
    """All of it or nothing; in force at once, kept, and undone by `POST /api/config/undo`."""
    orchestrator = _orchestrator(request)
    reason = str(changes.pop("reason", ""))[:_MOST]
    orchestrator.update_production_config(changes, actor=get_caller(request).name, reason=reason)
    return _shown(orchestrator, 20)


@router.post("/api/config/undo", dependencies=MAY_MANAGE, summary="Take back the last change")
def undo_config(request: Request, wanted: UndoIn | None = None) -> Configuration:
    """Again for the change before; 409 when none is left."""
    orchestrator = _orchestrator(request)
    reason = wanted.reason if wanted is not None else ""
    orchestrator.undo_production_config(actor=get_caller(request).name, reason=reason)
    return _shown(orchestrator, 20)


def _orchestrator(request: Request) -> ProductionOrchestrator:
    return cast("ProductionOrchestrator", request.app.state.orchestrator)


def _shown(orchestrator: ProductionOrchestrator, limit: int) -> Configuration:
    history = [ConfigChange.model_validate(asdict(each)) for each in orchestrator.config_history(limit)]
    return Configuration(config=orchestrator.config.as_dict(), version=orchestrator.config_version, history=history)
