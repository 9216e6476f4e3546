"""The audit log and backups, for administrators."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query, Request

from ism.app.http.access import MAY_MANAGE, App, api_router, get_caller

router = api_router("Safety")
Json = dict[str, Any]


@router.get("/api/audit", dependencies=MAY_MANAGE, summary="Who did what")
def list_audit(
    application: App,
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="Only entries with smaller numbers.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, list[Json]]:
    """Entries of the audit log, newest first."""
    return {"entries": [entry.as_dict() for entry in application.store.audit.entries(before, limit)]}


@router.get("/api/audit/verify", dependencies=MAY_MANAGE, summary="Check the audit log")
def verify_audit(
    application: App,
    head: Annotated[
        str | None, Query(pattern="^[0-9a-f]{64}$", description="A digest that was kept elsewhere.")
    ] = None,
) -> Json:
    """Compute every digest anew; `broken` is the number of the first entry that is not as it was written."""
    return asdict(application.store.audit.check(head))


@router.get("/api/backups", dependencies=MAY_MANAGE, summary="List backups")
def list_backups(application: App) -> dict[str, list[Json]]:
    """Backups that lie in the folder, newest first."""
    return {"backups": [asdict(backup) for backup in application.backups.list()]}


@router.post("/api/backups", status_code=201, dependencies=MAY_MANAGE, summary="Make a backup")
def make_backup(application: App, request: Request) -> Json:
    """A backup of database, models and settings, made while the server works, and checked by restoring it."""
    return asdict(application.backups.create(get_caller(request).name))
