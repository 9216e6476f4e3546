"""The parts of the application as components: how each begins, what its check tries, and how it ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from ism.app.orchestrator.component import Component, Health, aside
from ism.domain.errors import ConfigurationError, EngineError

if TYPE_CHECKING:
    from ism.app.marketplace.connector import MarketplaceConnector
    from ism.app.wiring import Application


class _Part(Component):
    """A part of an application.

    Args:
        application: that it is a part of.
    """

    def __init__(self, application: Application) -> None:
        self.application = application


class Matcher(_Part):
    """Market and engines. Checked by scoring an offer, which is not logged."""

    name: ClassVar[str] = "matcher"
    uses: ClassVar[tuple[str, ...]] = ("fusion_enabled",)

    def __init__(self, application: Application) -> None:
        super().__init__(application)
        self._warming: threading.Thread | None = None

    async def start(self) -> None:
        """Load market and engines in a thread: a first start takes as long as fitting does."""
        self._warming = threading.Thread(target=self.application.try_warm_up, name="warm-up", daemon=True)
        self._warming.start()

    async def check(self) -> Health:
        """Score an offer; starting while market and engines are loaded."""
        application, warming = self.application, self._warming
        if application.is_warm:
            return Health("ok", await aside(application.probe))
        if warming is not None and warming.is_alive() and application.failure is None:
            return Health("starting", "Market and engines are being loaded.")
        raise EngineError(application.failure or "The engines could not be started; the log says more.")

    async def stop(self) -> None:
        """Let market and engines go."""
        await aside(self.application.release_matcher)


class Feedback(_Part):
    """What is taken in, and what follows from it. Checked by sending nothing the way that events go."""

    name: ClassVar[str] = "feedback"
    switch: ClassVar[str | None] = "feedback_enabled"

    async def start(self) -> None:
        """Judge what comes in."""
        await aside(self.application.feedback.start)

    async def check(self) -> Health:
        """Queue, writer, transaction, judging."""
        return Health("ok", await self.application.feedback.probe())

    async def stop(self) -> None:
        """End judging; what was taken in is judged later."""
        await aside(self.application.feedback.stop)


class Fusion(_Part):
    """Which model joins the engines, and what outcomes teach it. Checked by fusing, and adding the shares up."""

    name: ClassVar[str] = "fusion"
    needs: ClassVar[tuple[str, ...]] = ("matcher", "feedback")
    switch: ClassVar[str | None] = "fusion_enabled"

    async def start(self) -> None:
        """Read the active model."""
        await aside(self.application.fusion.get_active_model)

    async def check(self) -> Health:
        """Fuse what engines could say."""
        return Health("ok", await aside(self.application.fusion.probe))

    async def stop(self) -> None:
        """Forget the model that was read."""
        self.application.__dict__.pop("fusion", None)


class Optimization(_Part):
    """Searches for better parameters. Checked by reading them and working on what is unfinished."""

    name: ClassVar[str] = "optimization"
    switch: ClassVar[str | None] = "optimization_enabled"

    async def start(self) -> None:
        """Carry on what is unfinished."""
        await aside(self.application.carry_on_searches)

    async def check(self) -> Health:
        """Whether unfinished searches are worked on."""
        return Health("ok", await aside(self.application.carry_on_searches))

    async def stop(self) -> None:
        """Park the searches."""
        await aside(self.application.release_tuning)


class Retraining(_Part):
    """Jobs that retrain models. Checked by reading them and running what is open."""

    name: ClassVar[str] = "retraining"
    needs: ClassVar[tuple[str, ...]] = ("matcher", "feedback")
    switch: ClassVar[str | None] = "retraining_enabled"
    uses: ClassVar[tuple[str, ...]] = ("auto_deploy", "optimization_enabled")

    async def start(self) -> None:
        """Carry on what is open."""
        await aside(self.application.carry_on_jobs)

    async def check(self) -> Health:
        """Whether open jobs are run; what a search found begins one."""
        await aside(self.application.retrain_with_found)
        return Health("ok", await aside(self.application.carry_on_jobs))

    async def stop(self) -> None:
        """Park the jobs: each is resumed where its row stands."""
        await aside(self.application.release_retraining)


class Monitoring(_Part):
    """Measurements and alerts. Checked by the age of the last measurement that was kept."""

    name: ClassVar[str] = "monitoring"
    switch: ClassVar[str | None] = "monitoring_enabled"

    async def start(self) -> None:
        """Measure."""
        await aside(self.application.monitoring.collector.start)

    async def check(self) -> Health:
        """Whether measurements are kept."""
        return Health("ok", await aside(self.application.monitoring.collector.probe))

    async def stop(self) -> None:
        """End measuring."""
        await aside(self.application.monitoring.collector.stop)


class Marketplace(_Part):
    """Exchanges with the marketplace's own tables, where one is set. Checked by what became of the last one."""

    name: ClassVar[str] = "marketplace"
    needs: ClassVar[tuple[str, ...]] = ("feedback",)
    optional: ClassVar[bool] = True
    start_limit_s: ClassVar[float] = 120.0  # several questions to a server elsewhere, each with its tries

    async def start(self) -> None:
        """Compare the mapping with the tables, then exchange at the interval."""
        await aside(self._connector.check)
        self._connector.start()

    async def check(self) -> Health:
        """Whether exchanges end well; degraded while they do not: another start would not help."""
        well, detail = await aside(self._connector.probe)
        return Health("ok" if well else "degraded", detail)

    async def stop(self) -> None:
        """End the exchange that is under way; the next start carries it on."""
        await aside(self._connector.stop)

    @property
    def _connector(self) -> MarketplaceConnector:
        connector = self.application.marketplace
        if connector is None:
            raise ConfigurationError("SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY: set both to connect a marketplace.")
        return connector


class Backup(_Part):
    """Backups at the interval. Checked by how the last one went."""

    name: ClassVar[str] = "backup"
    uses: ClassVar[tuple[str, ...]] = ("backup_interval",)

    async def start(self) -> None:
        """Make them at the interval that holds now."""
        self.application.backups.interval_s = float(self.application.settings.backup_interval_s)
        await aside(self.application.backups.start)

    async def check(self) -> Health:
        """Degraded while the last one failed: what else the system does goes on."""
        return Health(*await aside(self.application.backups.health))

    async def stop(self) -> None:
        """End the loop."""
        await aside(self.application.backups.stop)


PARTS: tuple[type[_Part], ...] = (Matcher, Feedback, Fusion, Optimization, Retraining, Monitoring, Backup)


def parts_of(application: Application) -> list[Component]:
    """All parts, those first that others need."""
    parts = PARTS if application.marketplace is None else (*PARTS, Marketplace)
    return [part(application) for part in parts]
