"""Continuous search: small budgets while the machine has nothing better to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psutil

from ism.domain.errors import IsmError
from ism.settings import Settings
from ism.storage.lead import SOLE, Leadership
from ism.tuning.config import OptimizationConfig
from ism.tuning.folder import CONTINUOUS

_LOOK = 0.5  # seconds over which processor use is measured
_log = logging.getLogger("ism.tuning")


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the machine is.

    Attributes:
        others_cpu_percent: processor use by everything but searches of this process, 0..100 of all cores.
        memory_percent: memory in use, 0..100.
    """

    others_cpu_percent: float
    memory_percent: float


class Optimizer(Protocol):
    """What is asked of `ism.tuning.optimizer.AIHyperparameterOptimizer`."""

    def submit(self, config: OptimizationConfig, *, name: str | None = None) -> str:
        """Begin a search."""
        ...

    def extend(self, optimization_id: str, n_trials: int) -> None:
        """Give it more trials."""
        ...

    def pause(self, optimization_id: str, paused: bool = True) -> None:
        """Stop working on it, or go on."""
        ...

    def get_optimization_status(self, optimization_id: str) -> dict[str, Any]:
        """How far it is."""
        ...

    def list_optimizations(self) -> list[dict[str, Any]]:
        """All searches."""
        ...


def measure_load(seconds: float = _LOOK) -> Load:
    """Look at the machine for a moment; a process that ends meanwhile is left out."""
    own = _searching()
    before, started = [_cpu_seconds(process) for process in own], time.monotonic()
    whole = psutil.cpu_percent(seconds)
    taken = max(time.monotonic() - started, 1e-6) * (psutil.cpu_count() or 1)
    ours = sum(max(_cpu_seconds(process) - earlier, 0.0) for process, earlier in zip(own, before, strict=True))
    return Load(max(whole - 100.0 * ours / taken, 0.0), psutil.virtual_memory().percent)


class ContinuousSearch:
    """Searches for each model in turn, a few trials at a time, and yields to everything else.

    Each state of the market gets one search, which grows round by round up to the model's preset. It pauses while the
    machine is busy or somebody asked for another search; no finished trial is lost by that.

    Args:
        optimizer: does the searches.
        models: names of engines.
        version: changes when the market does.
        settings: thresholds and budgets.
        look: how busy the machine is.

    Attributes:
        lead: whether this process searches by itself, where several share a store.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        models: Sequence[str],
        version: Callable[[], int],
        settings: Settings,
        look: Callable[[], Load] = measure_load,
    ) -> None:
        self._optimizer, self._models, self._version = optimizer, list(models), version
        self._settings, self._look = settings, look
        self._turn = 0
        self._active: str | None = None
        self.lead: Leadership = SOLE

    def run(self, closing: threading.Event) -> None:
        """Look and act until closing; what fails is logged and tried again at the next look."""
        while not closing.wait(self._settings.tuning_idle_check_seconds):
            try:
                self.step()
            except IsmError as error:
                _log.warning("Continuous search: %s", error)

    def step(self) -> str:
        """Look once and act; tells what was done: ``started``, ``resumed``, ``paused``, ``waited``, ``nothing``."""
        load, asked = self._look(), self._asked_for() or not self.lead.leads
        settings = self._settings
        busy = load.others_cpu_percent > settings.tuning_busy_cpu_percent
        busy = busy or load.memory_percent > settings.tuning_busy_memory_percent
        running = self._running()
        if running is not None and (busy or asked):
            self._optimizer.pause(running)
            return "paused"
        idle = load.others_cpu_percent < settings.tuning_idle_cpu_percent and not busy and not asked
        if running is not None or not idle:
            return "waited"
        return self._go_on()

    def _go_on(self) -> str:
        unfinished = self._active
        if unfinished is not None and self._status(unfinished)["status"] == "running":
            self._optimizer.pause(unfinished, False)
            return "resumed"
        for _ in self._models:
            model = self._models[self._turn % len(self._models)]
            self._turn += 1
            if self._next_round(model):
                return "started"
        return "nothing"

    def _next_round(self, model: str) -> bool:
        name, most = f"{CONTINUOUS}{model.replace('_', '-')}-{self._version()}", OptimizationConfig(model).budget[0]
        found, more = self._status(name), self._settings.tuning_continuous_trials
        if found["status"] == "not_found":
            self._optimizer.submit(OptimizationConfig(model, n_trials=min(more, most)), name=name)
        elif found["status"] == "completed" and found["n_trials"] < most:
            self._optimizer.extend(name, min(found["n_trials"] + more, most))
        else:
            return False
        self._active = name
        self._optimizer.pause(name, False)
        return True

    def _running(self) -> str | None:
        name = self._active
        running = name is not None and self._status(name)["status"] == "running" and not self._status(name)["paused"]
        return name if running else None

    def _asked_for(self) -> bool:
        """Whether somebody waits for another search."""
        every = self._optimizer.list_optimizations()
        return any(each["status"] == "running" and not each["optimization_id"].startswith(CONTINUOUS) for each in every)

    def _status(self, name: str) -> dict[str, Any]:
        return self._optimizer.get_optimization_status(name)


def _searching() -> list[psutil.Process]:
    """Processes of the searches that this process started."""
    found = []
    for child in psutil.Process().children():
        try:
            if any("ism.tuning.driver" in part for part in child.cmdline()):
                found += [child, *child.children(recursive=True)]
        except psutil.Error:
            continue
    return found


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
