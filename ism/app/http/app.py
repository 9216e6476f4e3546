"""The web application: routes, guards and errors put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from ism.app.http import problems
from ism.app.http.crowd import Crowd
from ism.app.http.guard import Access, BodyLimit, BodySizes, Guard
from ism.app.http.routes import (
    config,
    feedback,
    fusion,
    imports,
    judging,
    keys,
    market,
    marketplace,
    matches,
    models,
    monitoring,
    optimizations,
    pages,
    safety,
    system,
)
from ism.app.orchestrator import ProductionOrchestrator
from ism.app.web.flows import Flows
from ism.app.web.pulse import Pulse, marks
from ism.domain.errors import IsmError

if TYPE_CHECKING:
    from ism.app.wiring import Application

_ABOUT = (
    "The AI behind an industrial-symbiosis marketplace: which receiver fits which waste offer, and why. "
    "Send a key as `X-API-Key`. Every error is a problem document (RFC 9457)."
)


def create_app(
    application: Application,
    orchestrator: ProductionOrchestrator | None = None,
    when_warm: Callable[[], object] = lambda: None,
) -> FastAPI:
    """The HTTP face of an application; while it runs, the orchestrator supervises the application's parts.

    Closing the application is left to whoever opened it.

    Args:
        application: answers.
        orchestrator: of this application; one with the application's settings when None.
        when_warm: called when all is loaded.
    """
    supervision = orchestrator or ProductionOrchestrator(application=application)
    flows = Flows(application.store)

    def warm_pages() -> None:
        """Load what the pages show of the market, so that the first visitor need not wait for it."""
        with suppress(IsmError):  # a store that is closed again, or away: the page that asks says so
            flows.current()
        when_warm()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        application.when_warm = warm_pages
        await supervision.start()
        yield
        await app.state.pulse.close()
        await supervision.stop()

    app = FastAPI(
        title="Industrial symbiosis matching",
        description=_ABOUT,
        version=version("ism-ai-platform"),
        lifespan=lifespan,
        docs_url=None,  # ours needs nothing from elsewhere
        redoc_url=None,
        openapi_url=None,  # served by a route of ours, so that it is protected like the rest
        redirect_slashes=False,
    )
    app.state.application = application
    _ = application.tokens, application.marketplace  # what cannot be used of it is told now, not to the first caller
    app.state.orchestrator = supervision
    app.state.flows = flows
    app.state.pulse = Pulse(partial(marks, application))
    for part in (
        matches,
        judging,
        feedback,
        fusion,
        market,
        imports,
        marketplace,
        optimizations,
        models,
        monitoring,
        config,
        keys,
        safety,
        system,
        pages,
    ):
        app.include_router(part.router)
    app.mount("/static", pages.static, name="static")
    problems.install(app)
    # The last one added is the outermost.
    settings = application.settings
    most = BodySizes(settings.max_body_bytes, settings.max_upload_bytes, settings.feedback_body_bytes)
    app.add_middleware(BodyLimit, most=most)
    app.add_middleware(Access, application=application)
    app.add_middleware(Crowd, most=settings.requests_at_once, most_matches=settings.matches_at_once)
    app.add_middleware(Guard)
    app.add_middleware(application.monitoring.requests.middleware)  # counts also while nothing is measured
    return app
