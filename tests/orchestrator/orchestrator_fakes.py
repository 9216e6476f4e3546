"""Components that fail when they are told to, and a clock that moves when it is told to."""

import asyncio
from collections.abc import Sequence

from ism.app.orchestrator.breaker import RestartPolicy
from ism.app.orchestrator.component import Component, Health
from ism.app.orchestrator.config import ProductionConfig
from ism.app.orchestrator.supervisor import Supervisor
from ism.domain.errors import EngineError

POLICY = RestartPolicy(first_s=1, factor=2, longest_s=60, failures=4, window_s=1000, open_s=120, longest_open_s=300)


class Clock:
    """Seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake(Component):
    """Works until ``broken`` says why it does not."""

    def __init__(self, name, log, needs=(), switch=None, uses=()):
        self.name, self.needs, self.switch, self.uses = name, needs, switch, uses
        self.log = log
        self.broken: Exception | None = None
        self.cannot_start: Exception | None = None
        self.starting = self.hangs = self.hangs_at_end = False
        self.checks = 0

    async def start(self):
        self.log.append(f"start {self.name}")
        if self.cannot_start is not None:
            raise self.cannot_start

    async def check(self):
        self.checks += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.broken is not None:
            raise self.broken
        return Health("starting" if self.starting else "ok", f"{self.name} was tried.")

    async def stop(self):
        self.log.append(f"stop {self.name}")
        if self.hangs_at_end:
            await asyncio.Event().wait()


class World:
    """A supervisor on fakes."""

    def __init__(self, build, config: ProductionConfig | None = None):
        self.log: list[str] = []
        self.clock = Clock()
        self.config = config or ProductionConfig(health_check_interval=10)
        self.fakes: dict[str, Fake] = {fake.name: fake for fake in build(self.log)}
        self.supervisor = Supervisor(list(self.fakes.values()), lambda: self.config, POLICY, self.clock)

    def states(self) -> dict[str, str]:
        return {name: each["state"] for name, each in self.supervisor.report().items()}

    async def turns(self, seconds: Sequence[float] = (0, 0)) -> None:
        """One turn after each pause."""
        for pause in seconds:
            self.clock.now += pause
            await self.supervisor.turn()


def chain(log):
    """c needs b, b needs a; x is alone."""
    return [Fake("a", log), Fake("b", log, ("a",), "feedback_enabled"), Fake("c", log, ("b",)), Fake("x", log)]


def failure(text="The disk is gone."):
    return EngineError(text)
