"""Starts components in order, checks whether they work, and starts again what does not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ism.app.orchestrator.breaker import Breaker, RestartPolicy
from ism.app.orchestrator.component import Component, Health
from ism.app.orchestrator.config import ProductionConfig
from ism.domain.errors import ConfigurationError, ConflictError, IsmError, NotFoundError, StorageUnavailableError

State = Literal["stopped", "disabled", "waiting", "starting", "ok", "degraded", "restarting", "down"]
WORKS = frozenset({"ok", "degraded"})
_SOON_S = 0.5  # between two checks of what is starting
_LOOK_S = 1.0  # longest time between two turns
_LEAST_S = 0.02
_log = logging.getLogger("ism.orchestrator")


@dataclass
class _Tended:
    """A component and how it is."""

    component: Component
    breaker: Breaker
    state: State = "stopped"
    detail: str = "Not started."
    up: bool = False  # begun, and not ended since
    used: tuple[Any, ...] = ()  # the values that it began with
    check_at: float = 0.0
    attempt_at: float = 0.0
    silent: bool = False  # the last check was not answered in time
    asked: bool = False  # somebody wants it begun again
    failures: int = 0
    restarts: int = 0
    last_error: str | None = None
    checked: datetime | None = None

    @property
    def name(self) -> str:
        return self.component.name


@dataclass
class Supervisor:
    """Tends components; one event loop runs it, any thread may read `report` and call `wake`.

    A component that raises, or twice in a row does not answer its check in time, is ended and started again: what needs
    it ends before it and begins after it. How long it rests is up to its `Breaker`. A change of configuration that
    switches a component, or that it uses, takes effect in the next turn.

    Args:
        components: those that others need come first.
        config: as it is wanted now; read in every turn.
        policy: how patiently a component is started again.
        clock: seconds that only grow.

    Raises:
        ConfigurationError: a component needs one that does not come before it.
    """

    components: Sequence[Component]
    config: Callable[[], ProductionConfig]
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._tended: dict[str, _Tended] = {}
        for each in self.components:
            missing = [name for name in each.needs if name not in self._tended]
            if missing:
                raise ConfigurationError(f"Component {each.name} needs {', '.join(missing)}: put them before it.")
            self._tended[each.name] = _Tended(each, Breaker(self.policy, self.clock))
        self._ending = False
        self._woken: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Turn after turn until `end`."""
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        while not self._ending:
            try:
                await self.turn()
            except Exception:  # noqa: BLE001 - whoever watches over others must go on
                _log.exception("A turn of the supervisor failed.")
            self._woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._rest())

    async def turn(self) -> None:
        """Obey the configuration, check what is due, end what failed, start what may start."""
        config, now = self.config(), self.clock()
        await self._obey(config)
        for each in self._tended.values():
            if each.asked:
                await self._begin_again(each)
        due = [each for each in self._tended.values() if each.up and each.check_at <= now]
        found = await asyncio.gather(*(self._check(each, config) for each in due))
        for each, failure in zip(due, found, strict=True):
            if failure is not None and each.up:
                await self._take_down(each, failure)
        may = [each for each in self._tended.values() if self._may_start(each, config)]
        await asyncio.gather(*(self._start(each, config) for each in may))

    def restart(self, name: str) -> None:
        """Have a component ended and begun again in the next turn, with what needs it; at once, also where it rests.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: it is switched off.
        """
        if name not in self._tended:
            raise NotFoundError("component", name)
        if self._tended[name].state == "disabled":
            raise ConflictError(f"{name}: it is switched off. Switch it on instead.")
        self._tended[name].asked = True
        self.wake()

    def wake(self) -> None:
        """Begin the next turn now."""
        if self._loop is not None and self._woken is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._woken.set)

    async def end(self, limit_s: float) -> None:
        """End all components, those first that need others, within so many seconds in all."""
        self._ending = True
        self.wake()
        ends = time.monotonic() + limit_s
        for each in reversed(self._tended.values()):
            if each.up:
                await self._stop(each, max(ends - time.monotonic(), _LEAST_S))
            each.state, each.detail = "stopped", "Ended with the system."

    def report(self) -> dict[str, dict[str, Any]]:
        """How every component is.

        Returns:
            name -> ``needs``, ``needed`` (whether nothing is answered without it),
            ``state`` (``ok``, ``degraded``, ``starting``, ``waiting`` for what it needs, ``restarting``,
            ``down`` while its circuit is open, ``disabled``, ``stopped``), ``detail``, ``failures`` and ``restarts``
            since the start, ``circuit``, ``last_error``, ``last_check`` (ISO 8601, UTC), ``next_attempt_s`` (s).
        """
        now = self.clock()
        return {
            name: {
                "state": each.state,
                "detail": each.detail,
                "needs": list(each.component.needs),
                "needed": each.component.needed,
                "failures": each.failures,
                "restarts": each.restarts,
                "circuit": each.breaker.circuit,
                "last_error": each.last_error,
                "last_check": each.checked.isoformat() if each.checked else None,
                "next_attempt_s": max(each.attempt_at - now, 0.0) if each.state in {"restarting", "down"} else None,
            }
            for name, each in self._tended.items()
        }

    async def _obey(self, config: ProductionConfig) -> None:
        for each in self._tended.values():
            if not _wanted(each.component, config):
                if each.up:
                    _log.info("%s is switched off.", each.name)
                    await self._end_with_dependents(each)
                each.state, each.detail = "disabled", "Switched off."
            elif each.state in {"disabled", "stopped"}:
                each.state, each.detail, each.attempt_at = "waiting", "About to start.", self.clock()
            elif each.up and each.used != _used(each.component, config):
                _log.info("%s begins again with another configuration.", each.name)
                await self._end_with_dependents(each)

    async def _begin_again(self, each: _Tended) -> None:
        each.asked = False
        if each.state == "disabled":
            return
        _log.info("%s is begun again on request.", each.name)
        if each.up:
            await self._end_with_dependents(each)
        each.state, each.attempt_at = "restarting", self.clock()

    async def _check(self, each: _Tended, config: ProductionConfig) -> Exception | None:
        """Set the state from a check; the error where it failed."""
        limit = each.component.check_limit_s
        each.checked = datetime.now(UTC)
        try:
            health = await asyncio.wait_for(each.component.check(), limit)
        except TimeoutError:
            if each.silent:
                return IsmError(f"It did not answer its check within {limit:g} s, twice in a row.")
            each.silent = True
            health = Health("degraded", f"It did not answer its check within {limit:g} s.")
        except StorageUnavailableError as error:  # no new start of a component brings a database back
            each.state, each.detail, each.check_at = (
                "degraded",
                f"It waits for the database: {error}",
                self.clock() + _SOON_S,
            )
            return None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a component, it is started again
            return error
        else:
            each.silent = False
            if health.state != "starting":
                each.breaker.worked()
        if each.state == "starting" and health.state != "starting":
            _log.info("%s works: %s", each.name, health.detail)
        each.state, each.detail = health.state, health.detail
        each.check_at = self.clock() + (_SOON_S if health.state == "starting" else config.health_check_interval)
        return None

    def _may_start(self, each: _Tended, config: ProductionConfig) -> bool:
        if each.up or self._ending or not _wanted(each.component, config) or each.attempt_at > self.clock():
            return False
        missing = [
            name
            for name in each.component.needs
            if self._tended[name].state not in WORKS and _wanted(self._tended[name].component, config)
        ]
        if missing:
            each.state, each.detail = "waiting", f"Waits for {', '.join(missing)}."
        return not missing

    async def _start(self, each: _Tended, config: ProductionConfig) -> None:
        limit = each.component.start_limit_s
        again = each.state in {"restarting", "down"}
        each.breaker.attempt()
        each.state, each.detail, each.up, each.silent = "starting", "Starting.", True, False
        each.used, each.check_at = _used(each.component, config), self.clock()
        each.restarts += again
        try:
            await asyncio.wait_for(each.component.start(), limit)
        except TimeoutError:
            await self._take_down(each, IsmError(f"It did not start within {limit:g} s."))
        except StorageUnavailableError as error:
            await self._end_with_dependents(each)
            each.detail, each.attempt_at = f"Waits for the database: {error}", self.clock() + _SOON_S
        except Exception as error:  # noqa: BLE001 - as in a check
            await self._take_down(each, error)

    async def _take_down(self, each: _Tended, error: Exception) -> None:
        """End what failed, and say when it is tried again."""
        each.failures += 1
        each.last_error = _told(error)
        rest = each.breaker.failed()
        is_open = each.breaker.circuit == "open"
        _log.warning(
            "%s failed: %s It is started again in %g s.", each.name, each.last_error, rest,
            exc_info=None if isinstance(error, IsmError) else error,
            extra={"component": each.name, "failures": each.failures, "circuit": each.breaker.circuit},
        )  # fmt: skip
        await self._end_with_dependents(each)
        each.attempt_at = self.clock() + rest
        each.state = "down" if is_open else "restarting"
        often = " It failed too often, so it rests." if is_open else ""
        each.detail = f"{each.last_error}{often} Next attempt after {rest:g} s."

    async def _end_with_dependents(self, each: _Tended) -> None:
        for other in reversed(self._tended.values()):
            if other.up and self._rests_on(other.name, each.name):
                await self._stop(other, other.component.stop_limit_s)
                other.state, other.detail, other.attempt_at = "waiting", f"Waits for {each.name}.", self.clock()
        await self._stop(each, each.component.stop_limit_s)
        each.state, each.detail, each.attempt_at = "waiting", "About to start.", self.clock()

    def _rests_on(self, name: str, other: str) -> bool:
        needs = self._tended[name].component.needs
        return other in needs or any(self._rests_on(need, other) for need in needs)

    async def _stop(self, each: _Tended, limit_s: float) -> None:
        each.up = False
        try:
            await asyncio.wait_for(each.component.stop(), limit_s)
        except TimeoutError:
            _log.warning("%s did not end within %.1f s; the next start carries on what it does.", each.name, limit_s)
        except Exception:  # noqa: BLE001 - the others must be ended all the same
            _log.exception("%s could not be ended.", each.name)

    def _rest(self) -> float:
        """Seconds until something is due."""
        checks = [each.check_at for each in self._tended.values() if each.up]
        attempts = [each.attempt_at for each in self._tended.values() if each.state in {"restarting", "down"}]
        now = self.clock()
        return min(max(min([*checks, *attempts], default=now + _LOOK_S) - now, _LEAST_S), _LOOK_S)


def _wanted(component: Component, config: ProductionConfig) -> bool:
    return component.switch is None or bool(getattr(config, component.switch))


def _used(component: Component, config: ProductionConfig) -> tuple[Any, ...]:
    return tuple(getattr(config, name) for name in component.uses)


def _told(error: Exception) -> str:
    """An error as anybody may read it: our own words, never a foreign message, which may hold an address."""
    return str(error) if isinstance(error, IsmError) else f"{type(error).__name__}; the log says more."
