"""Deny by default: every route of the application, walked by everyone, against the table of who may what.

A new route must be added to the table, or the walk fails.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain

import pytest
from starlette.testclient import TestClient

from ism.app.attempts import Buckets
from ism.app.http.app import create_app
from ism.app.web.pulse import Pulse
from ism.app.wiring import Application

EVERYBODY = {"anonymous", "viewer", "operator", "admin", "service", "engine key"}
ANYONE_SIGNED_IN = {"viewer", "operator", "admin", "service"}
WRITERS = {"operator", "admin", "service"}
PEOPLE = {"operator", "admin"}
TABLE = [
    (EVERYBODY, """
        GET /healthz
        GET /readyz
        GET /sign-in
        POST /sign-in
        GET /static
    """),
    (ANYONE_SIGNED_IN, """
        POST /sign-out
        POST /api/matches
        POST /matches
        GET /api/engines
        GET /api/feedback/triggers
        GET /api/feedback/retraining-requests
        GET /api/feedback/status
        GET /api/fusion/models
        GET /api/fusion/switches
        GET /api/companies
        GET /api/companies/{company_id:path}
        GET /api/listings
        GET /api/listings/{listing_id:path}
        GET /api/exchanges
        GET /api/optimizations
        GET /api/optimizations/{optimization_id}
        GET /api/retraining-jobs
        GET /api/retraining-jobs/{job_id}
        GET /api/models
        GET /api/models/{name}/versions
        GET /api/models/{name}/versions/{version}
        GET /api/models/{name}/diff
        GET /api/dashboard/overview
        GET /api/dashboard/system-metrics
        GET /api/dashboard/ai-metrics/{model}
        GET /api/dashboard/feedback-analytics
        GET /api/dashboard/retraining-jobs
        GET /api/dashboard/alerts
        GET /api/dashboard/optimization-status
        GET /api/dashboard/fusion-status
        GET /api/dashboard/drift
        GET /api/dashboard/forecast/{metric}
        GET /api/dashboard/outlook
        GET /api/alerts
        GET /api/alert-rules
        GET /api/config
        GET /api/stream
        GET /metrics
        GET /
        GET /matches
        GET /system
        GET /jobs
        GET /models
        GET /feedback
        GET /network
        GET /alerts
        GET /docs
        GET /openapi.json
        GET /panels/{name}/{panel}.csv
        GET /panels/{name}/{panel}.json
        GET /panels/{name}/{panel}
    """),
    (WRITERS, """
        POST /api/companies
        PATCH /api/companies/{company_id:path}
        DELETE /api/companies/{company_id:path}
        POST /api/listings
        PATCH /api/listings/{listing_id:path}
        DELETE /api/listings/{listing_id:path}
        POST /api/import
        GET /api/marketplace
        POST /api/marketplace/sync
        GET /api/feedback
        POST /api/feedback
        POST /api/feedback/batch
        GET /api/feedback/dead-letters
        GET /api/feedback/dead-letters/{letter_id}
        POST /api/feedback/dead-letters/{letter_id}/replay
        POST /api/feedback/dead-letters/{letter_id}/discard
        GET /api/feedback/quarantine
        POST /api/feedback/quarantine/{event_id}/{decision}
        GET /api/feedback/trust
        PUT /api/feedback/trust/{actor_id:path}
        GET /api/feedback/labels/{recommendation_id:path}
        POST /api/feedback/triggers
        POST /api/feedback/turn
        POST /api/optimizations
        DELETE /api/optimizations/{optimization_id}
        POST /api/retraining-jobs
        POST /api/retraining-jobs/{job_id}/cancel
        POST /api/alerts/{alert_id}/acknowledge
        POST /api/alerts/{alert_id}/silence
        POST /api/alerts/{alert_id}/resolve
        POST /act/alerts/{alert_id}
        POST /feedback
        POST /act/quarantine/{event_id}
        POST /act/letters/{letter_id}
        POST /act/searches/{search}
        POST /act/searches
        POST /act/jobs
        POST /act/jobs/{job}
    """),
    (WRITERS | {"engine key"}, "POST /api/engines/{name}/score"),
    (PEOPLE, """
        PUT /api/fusion/active
        POST /api/fusion/revert
        POST /api/fusion/learn
        POST /api/fusion/challenge
        POST /act/fusion
    """),
    ({"admin"}, """
        GET /api/keys
        POST /api/keys
        POST /api/keys/{key_id}/rotate
        DELETE /api/keys/{key_id}
        GET /api/audit
        GET /api/audit/verify
        GET /api/backups
        POST /api/backups
        POST /api/models/{name}/promote
        POST /api/models/{name}/rollback
        PATCH /api/alert-rules/{name}
        PATCH /api/config
        POST /api/config/undo
        POST /act/rules/{name}
        POST /act/models/{name}
        POST /act/components/matcher
        POST /act/components/{name}
        POST /act/backups
    """),
]  # fmt: skip
ENGINE_KEY = "an-engine-key-for-tests"
MAY = {line.strip(): who for who, lines in TABLE for line in lines.strip().splitlines()}


class Ended(Pulse):
    """Tells every listener at once that there will be no more."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Queue]:
        heard: asyncio.Queue = asyncio.Queue()
        heard.put_nowait(None)
        yield heard


def walked(routes: Iterable[object]) -> Iterator[str]:
    """Method and path of whatever the application answers, also what no document names."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        methods = getattr(route, "methods", None)
        if methods:
            yield from (f"{method} {route.path}" for method in methods - {"HEAD"})  # type: ignore[attr-defined]
        elif inner is not None:
            yield from walked(inner.routes)
        else:
            yield f"GET {route.path}"  # type: ignore[attr-defined]  # a folder of files


@pytest.fixture
def application(application: Application) -> Application:
    application.auth.revoke("environment-1")  # a wrong key would be tried at it, which takes long
    application.auth.__init__(application.store, ENGINE_KEY)  # type: ignore[misc]  # as with GNN_API_KEY
    return application


def test_the_table_names_every_route_once(application: Application) -> None:
    lines = list(chain.from_iterable(lines.strip().splitlines() for _, lines in TABLE))
    assert len(lines) == len(MAY)
    assert set(walked(create_app(application).routes)) == set(MAY)


@pytest.mark.parametrize("role", sorted(EVERYBODY))
def test_each_role_may_do_what_the_table_says_and_nothing_else(role: str, application: Application) -> None:
    app = create_app(application)
    app.state.pulse = Ended(dict)  # or /api/stream would never end
    headers = {"X-API-Key": ENGINE_KEY} if role == "engine key" else {}
    if role in ANYONE_SIGNED_IN:
        headers = {"X-API-Key": application.auth.create(role, role)[1]}  # type: ignore[arg-type]  # all are roles
    someone, wrong = application.auth.create("someone", "viewer")[1], []
    with TestClient(app, follow_redirects=False) as client:
        for line, who in MAY.items():
            method, path = line.split(" ")
            path = "/static/app.css" if path == "/static" else re.sub(r"\{.*?\}", "x", path)
            body = {"json": {}} if method not in {"GET", "DELETE"} and path != "/api/import" else {}
            if path == "/sign-in" and method == "POST":
                body = {"data": {"key": someone}}
            client.cookies.clear()
            if role == "engine key":
                application.auth._attempts = Buckets(1, 1)  # its wrong tries are forgotten
            status = client.request(
                method, path, headers={**headers, "Sec-Fetch-Site": "same-origin"}, **body
            ).status_code
            refused = status in {401, 403}
            if refused == (role in who):
                wrong.append((line, status))
            elif refused:
                assert status == (401 if role in {"anonymous", "engine key"} else 403), line
    assert wrong == []


@pytest.mark.parametrize("path", ["/api/new", "/act/new", "/api/engines/x/score/more", "/%2e%2e/healthz", "//healthz"])
def test_what_nobody_thought_of_is_denied(anyone: TestClient, application: Application, path: str) -> None:
    assert anyone.get(path).status_code == 401
    viewer = {"X-API-Key": application.auth.create("v", "viewer")[1]}
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
        assert anyone.request(method, path, headers=viewer).status_code == 403
