"""`ProductionOrchestrator`: the whole system, as SPEC.md shows; what `ism serve` runs behind its routes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ism.app.orchestrator import requests
from ism.app.orchestrator.component import Component
from ism.app.orchestrator.config import ProductionConfig
from ism.app.orchestrator.parts import parts_of
from ism.app.orchestrator.supervisor import WORKS, Supervisor
from ism.app.orchestrator.versions import ConfigVersions
from ism.app.wiring import Application, open_application, unsupervised
from ism.domain.errors import IsmError, StorageUnavailableError
from ism.domain.production import ConfigVersion
from ism.settings import Settings

if TYPE_CHECKING:
    from ism.app.orchestrator.breaker import RestartPolicy

STOP_S = 4.0  # seconds that components have to end, all together
_LOOK_S = 0.05
_FOLLOW_S = 2.0  # between two looks at what other processes on the same store changed
_LIBRARY = "library"  # who acts where nobody says so
_log = logging.getLogger("ism.orchestrator")


class ProductionOrchestrator:
    """Starts, supervises and stops feedback, fusion, optimization, retraining and monitoring, each of which can be off.

    Without an application it opens the data folder that the environment names, when something of it is first needed.

    Threads: `get_system_status` and `update_production_config` may be called from any thread; `start` and `stop` from
    the event loop that runs the supervision.

    Args:
        config: which parts run, and how; as settings say when None. What was changed by `update_production_config`
            earlier comes after it, and before settings.
        application: that is supervised; stays open.
        explicit: fields of the settings that an option named; earlier changes do not count for them.
        make_components: what is supervised; the parts of the application by default.
        policy: how patiently parts are started again.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        config: ProductionConfig | None = None,
        *,
        application: Application | None = None,
        explicit: Collection[str] = (),
        make_components: Callable[[Application], Sequence[Component]] = parts_of,
        policy: RestartPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted, self._given = config, application
        self._explicit = {field.name for field in fields(config)} if config is not None else set(explicit)
        self._make, self._policy, self._clock = make_components, policy, clock
        self._opening = threading.RLock()
        self._application: Application | None = None
        self._versions: ConfigVersions | None = None
        self._config = config or ProductionConfig()
        self._number = 0
        self._supervisor: Supervisor | None = None
        self._task: asyncio.Task[None] | None = None
        self._started: datetime | None = None

    @property
    def application(self) -> Application:
        """What is supervised; opened where that is still to be done. Errors as in `open_application`."""
        with self._opening:
            if self._application is None:
                settings = self._given.settings if self._given is not None else Settings()
                if self._wanted is not None:
                    settings = self._wanted.into(settings)
                application = self._given or open_application(settings, warm=False)
                self._versions = ConfigVersions(
                    application.store.configuration, ProductionConfig.of(settings), self._explicit
                )
                self._application = application
                self._follow()
            return self._application

    @property
    def config(self) -> ProductionConfig:
        """The configuration that is in force."""
        return self._config

    async def start(self) -> None:
        """Begin to supervise; returns at once, `until_ready` waits. Does nothing when it has begun."""
        if self._task is not None:
            return
        application = await asyncio.to_thread(lambda: self.application)
        more = {} if self._policy is None else {"policy": self._policy}
        self._supervisor = Supervisor(self._make(application), lambda: self._config, clock=self._clock, **more)
        application.supervised, application.restart = self._states, self._supervisor.restart
        await asyncio.to_thread(application.begin)
        self._started = datetime.now(UTC)
        self._task = asyncio.create_task(self._run(self._supervisor), name="supervisor")

    async def until_ready(self, limit_s: float) -> bool:
        """Whether every part that is on works within so many seconds."""
        ends = time.monotonic() + limit_s
        while not self._all_work():
            if time.monotonic() >= ends:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def stop(self, limit_s: float = STOP_S) -> None:
        """End all parts within so many seconds; what runs is parked, and carried on by the next start."""
        task, supervisor = self._task, self._supervisor
        self._task = None
        if task is not None and supervisor is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await supervisor.end(limit_s)
            await asyncio.to_thread(self.application.end)
            self.application.supervised, self.application.restart = dict, unsupervised
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close what was opened; after `stop`, or where nothing was started."""
        with self._opening:
            application, self._application = self._application, None
            if application is not None and application is not self._given:
                application.close()

    async def process_ai_request(self, request_type: str, request_data: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request.

        Args:
            request_type: ``matching``, ``analysis``, ``optimization`` or ``feedback``.
            request_data: what the functions of `ism.app.orchestrator.requests` take; for matching the body of
                ``POST /api/matches``.

        Returns:
            JSON values; for matching ``request_id``, ``matches``, ``missing_engines`` and more.

        Raises:
            InvalidInputError: the type is unknown, or a value cannot be used.
            NotFoundError: something that is named does not exist.
            ConflictError: the part is switched off.
            EngineError: the engines cannot answer.
            StorageError: the store cannot be opened, read or written.

        Example:
            >>> orchestrator = ProductionOrchestrator()  # doctest: +SKIP
            >>> await orchestrator.process_ai_request(  # doctest: +SKIP
            ...     "matching", {"offer": {"material": "coal fly ash", "ewc": "10 01 02"}}
            ... )
        """
        application = await asyncio.to_thread(lambda: self.application)
        return await requests.process(application, request_type, request_data)

    def get_system_status(self) -> dict[str, Any]:
        """How the system is; opens nothing.

        Returns:
            ``status`` (``running``, ``starting``, ``degraded``, ``down`` where no match is answered, ``stopped``),
            ``degraded`` (names of parts that do not work as they should), ``components`` {name: as
            `Supervisor.report`, with ``enabled``}, ``config``, ``config_version``, ``started_at`` and ``timestamp``
            (ISO 8601, UTC), ``uptime`` (s), ``store``, ``version``.
        """
        parts = self._report()
        now = datetime.now(UTC)
        return {
            "status": self._status(parts),
            "degraded": _troubled(parts),
            "components": {name: {**each, "enabled": each["state"] != "disabled"} for name, each in parts.items()},
            "config": self._config.as_dict(),
            "config_version": self._number,
            "started_at": self._started.isoformat() if self._started else None,
            "uptime": (now - self._started).total_seconds() if self._started else 0.0,
            "store": self._application.store.location if self._application else None,
            "version": version("ism-ai-platform"),
            "timestamp": now.isoformat(),
        }

    def update_production_config(
        self, new_config: Mapping[str, Any], *, actor: str = _LIBRARY, reason: str = ""
    ) -> bool:
        """Change fields of the configuration, for good; all of them or none. In force at the supervisor's next turn.

        Args:
            new_config: field of `ProductionConfig` -> value.
            actor: who changes it, kept beside the change.
            reason: why, kept as well.

        Returns:
            True once it is stored.

        Raises:
            InvalidInputError: a name is unknown or a value cannot be used; nothing is changed.
            ConflictError: another process changed it at the same moment.
            StorageError: it cannot be stored.
        """
        with self._opening:
            self._kept().update(new_config, actor, reason)
            self._follow()
        return True

    def undo_production_config(self, *, actor: str = _LIBRARY, reason: str = "") -> ProductionConfig:
        """Take back the last change; again for the one before. ConflictError when there is none left."""
        with self._opening:
            self._kept().undo(actor, reason)
            self._follow()
        return self._config

    def config_history(self, limit: int = 100) -> list[ConfigVersion]:
        """The last changes, newest first."""
        return self._kept().history(limit)

    @property
    def config_version(self) -> int:
        """Number of the last change; 0 where nothing was ever changed."""
        return self._number

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _run(self, supervisor: Supervisor) -> None:
        """Supervise, and notice what other processes on the same store change."""
        follower = asyncio.create_task(self._follow_others(), name="config")
        try:
            await supervisor.run()
        finally:
            follower.cancel()

    async def _follow_others(self) -> None:
        while True:
            await asyncio.sleep(min(self._config.health_check_interval, _FOLLOW_S))
            try:
                await asyncio.to_thread(self._follow)
                await asyncio.to_thread(self.application.follow)
            except StorageUnavailableError:
                continue  # those who need it say so
            except IsmError as error:
                _log.warning("What other processes changed cannot be read: %s", error)

    def _kept(self) -> ConfigVersions:
        _ = self.application
        if self._versions is None:  # opening sets it
            raise IsmError("The configuration was not opened.")
        return self._versions

    def _follow(self) -> None:
        """Put the stored configuration in force."""
        with self._opening:
            application, versions = self._application, self._versions
            if application is None or versions is None:
                return
            number, config = versions.latest()
            if (number, config) != (self._number, self._config):
                _log.info("Configuration %d is in force.", number, extra={"config": config.as_dict()})
            if config.log_level != self._config.log_level:
                logging.getLogger("ism").setLevel(config.log_level)
            self._number, self._config = number, config
            application.configure(config.into(application.settings))
        if self._supervisor is not None:
            self._supervisor.wake()

    def _report(self) -> dict[str, dict[str, Any]]:
        return {} if self._supervisor is None else self._supervisor.report()

    def _status(self, parts: Mapping[str, Mapping[str, Any]]) -> str:
        if self._task is None:
            return "stopped"
        if any(each["needed"] and each["state"] in {"down", "restarting"} for each in parts.values()):
            return "down"
        if _troubled(parts):
            return "degraded"
        return "starting" if not self._all_work() else "running"

    def _all_work(self) -> bool:
        return bool(self._report()) and all(
            each["state"] in WORKS or each["state"] == "disabled" for each in self._report().values()
        )

    def _states(self) -> dict[str, dict[str, Any]]:
        """As `Application.components` tells them: what rests leaves the others at work."""
        parts, warm = self._report(), self.application.is_warm
        troubled = set(_troubled(parts))
        return {
            name: {
                "state": _outside(each, bool(troubled.intersection(each["needs"])), warm),
                "detail": each["detail"],
                "restarts": each["restarts"],
                "needed": each["needed"],
            }
            for name, each in parts.items()
        }


def _outside(part: Mapping[str, Any], needs_trouble: bool, warm: bool) -> str:
    """The state of a part in the words of readiness; what answers already is not starting."""
    state = str(part["state"])
    if state in {"restarting", "down"}:
        return "down" if part["needed"] else "degraded"
    if state == "waiting" and needs_trouble:
        return "degraded"
    if state in {"waiting", "stopped", "starting"}:
        return "ok" if part["needed"] and warm else "starting"
    return state


def _troubled(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for name, each in parts.items() if each["state"] in {"degraded", "restarting", "down"}]
