"""What the page of alerts can do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ism.app.http.access import MAY_MANAGE, WRITERS, get_application, get_caller, only
from ism.app.http.problems import RefusalError
from ism.app.http.routes.pages.acting import done, read_texts
from ism.domain.errors import InvalidInputError
from ism.monitoring import alerts

router = APIRouter(include_in_schema=False, prefix="/act")

_PAGE = "/alerts"


@router.post("/alerts/{alert_id}", dependencies=[Depends(only(*WRITERS))])
async def alert(alert_id: str, request: Request) -> Response:
    """Acknowledge, silence or resolve an alert."""
    form = await read_texts(request)
    store, who = get_application(request).store, get_caller(request).name
    acts: dict[str, tuple[Callable[[], object], str]] = {
        "acknowledge": (partial(alerts.acknowledge, store, alert_id, who), "The alert is acknowledged."),
        "silence": (lambda: alerts.silence(store, alert_id, _whole(form, "minutes"), who), "The alert is silent."),
        "resolve": (partial(alerts.resolve, store, alert_id, who), "The alert is resolved."),
    }
    if form.get("decision") not in acts:
        raise RefusalError(422, "Choose acknowledge, silence or resolve.")
    act, said = acts[form["decision"]]
    return await done(request, act, _PAGE, said)


@router.post("/rules/{name}", dependencies=MAY_MANAGE)
async def rule(name: str, request: Request) -> Response:
    """Change a rule."""
    form = await read_texts(request)
    rules, who = get_application(request).monitoring.rules, get_caller(request).name

    def change() -> None:
        values = {
            "enter": _number(form, "enter"),
            "leave": _number(form, "leave"),
            "for_minutes": _whole(form, "for_minutes"),
            "severity": form.get("severity", ""),
            "enabled": form.get("enabled") == "true",
        }
        rules.change(name, values, who)

    return await done(request, change, _PAGE, f"The rule {name} is changed.")


def _number(form: dict[str, str], name: str) -> float:
    try:
        return float(form.get(name, ""))
    except ValueError:
        raise InvalidInputError(name, form.get(name, ""), "Give a number.") from None


def _whole(form: dict[str, str], name: str) -> int:
    try:
        return int(form.get(name, ""))
    except ValueError:
        raise InvalidInputError(name, form.get(name, ""), "Give a whole number.") from None
