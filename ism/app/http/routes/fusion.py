"""Fusion models: which there are, which one answers, and who switched it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from ism.app.http.access import App, api_router, get_caller, only
from ism.app.http.schemas import Identifier
from ism.domain.engine import FusionModel
from ism.domain.fusion import FusionSwitch

router = api_router("Fusion")
_MAY_SWITCH = [Depends(only("operator", "admin"))]
_UNSEEN = ("trees",)  # parameters that are long and say nothing to people


class FusionChoice(BaseModel):
    """Which model shall answer."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    model_id: Identifier = Field(description="As `GET /api/fusion/models` lists it.", examples=["learned_weighted_sum"])
    reason: str = Field("", max_length=1000, description="Why, for the log.")


class FusionModelAnswer(BaseModel):
    """A fusion model."""

    model_id: str
    model_type: str
    weights: dict[str, float] = Field(description="Engine to weight; coefficients where the type is ml_model.")
    parameters: dict[str, Any]
    performance_metrics: dict[str, Any] = Field(description="On cases that the model did not learn from.")
    version: int
    last_updated: datetime
    is_active: bool


class FusionModelsAnswer(BaseModel):
    """All fusion models."""

    models: list[FusionModelAnswer]
    active_model: str


class FusionChallengeAnswer(BaseModel):
    """What the gate said of a learnt fusion model."""

    model: FusionModelAnswer
    verdict: str = Field(description="PASS: it answers now. HOLD: more must be known. REJECT: it is not better.")
    reasons: list[str] = Field(description="Why it did not pass.")
    report: str = Field(description="Every check with its numbers, as Markdown.")


class FusionSwitchesAnswer(BaseModel):
    """Switches of the active model, newest first."""

    switches: list[FusionSwitch]


@router.get("/api/fusion/models", summary="List fusion models")
def fusion_models(application: App) -> FusionModelsAnswer:
    """Every model in its latest version, with its figures and whether it answers."""
    active = application.fusion.get_active_model()
    models = [_answer(model, active.model_id) for model in application.fusion.get_fusion_models()]
    return FusionModelsAnswer(models=models, active_model=active.model_id)


@router.put("/api/fusion/active", dependencies=_MAY_SWITCH, summary="Choose the fusion model that answers")
def use_fusion_model(choice: FusionChoice, application: App, request: Request) -> FusionSwitch:
    """Make a model answer from the next request on; who did it is logged."""
    return application.fusion.registry.use(choice.model_id, actor=get_caller(request).name, reason=choice.reason)


@router.post("/api/fusion/revert", dependencies=_MAY_SWITCH, summary="Take back the last switch")
def revert_fusion_model(application: App, request: Request) -> FusionSwitch:
    """Make the model answer that did before the last switch that was not taken back yet."""
    return application.fusion.revert(actor=get_caller(request).name)


@router.post("/api/fusion/learn", dependencies=_MAY_SWITCH, summary="Learn a fusion model from outcomes")
def learn_fusion_model(application: App) -> FusionModelAnswer:
    """Learn a stacking of the engines from all matured outcomes and store it; it does not become active by itself.

    Its figures are those of the last fifth of the outcomes, which a twin of it did not see.
    """
    from ism.app.teaching import learn  # noqa: PLC0415 - the optimiser is needed here only

    model = learn(application.fusion, application.feedback.loop)
    return _answer(model, application.fusion.get_active_model().model_id)


@router.post("/api/fusion/challenge", dependencies=_MAY_SWITCH, summary="Let a learnt fusion model pass the gate")
def challenge_fusion_model(application: App) -> FusionChallengeAnswer:
    """Learn a stacking from older outcomes; it answers from now on if it passes the gate on newer requests."""
    model, look = application.challenge_fusion()
    active = application.fusion.get_active_model().model_id
    return FusionChallengeAnswer(
        model=_answer(model, active), verdict=look.verdict, reasons=look.evidence["reasons"], report=look.report
    )


@router.get("/api/fusion/switches", summary="List switches of the fusion model")
def fusion_switches(application: App) -> FusionSwitchesAnswer:
    """The last hundred, newest first."""
    return FusionSwitchesAnswer(switches=application.fusion.switches())


def _answer(model: FusionModel, active: str) -> FusionModelAnswer:
    return FusionModelAnswer(
        model_id=model.model_id,
        model_type=model.model_type,
        weights=model.weights,
        parameters=_shown(model.parameters),
        performance_metrics=model.performance_metrics,
        version=model.version,
        last_updated=model.last_updated,
        is_active=model.model_id == active,
    )


def _shown(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters without what is long and says nothing to people."""
    members = [_shown(member) for member in parameters.get("members", [])]
    kept = {name: value for name, value in parameters.items() if name not in {*_UNSEEN, "members"}}
    return {**kept, **({"members": members} if members else {})}
